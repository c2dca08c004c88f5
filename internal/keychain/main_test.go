package keychain_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
)

// childEnv makes the test binary a process that reads one profile and prints
// it.
const childEnv = "KEYCHAIN_TEST_CHILD"

func TestMain(m *testing.M) {
	profile := os.Getenv(childEnv)
	if profile == "" {
		os.Exit(m.Run())
	}
	k := keychain.NewKeychain(keychain.WithService("cspctl-test"))
	c, err := k.Get(context.Background(), profile, provider.NoPrompt)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print(c.Origin, " ", c.Secret.Reveal())
}
