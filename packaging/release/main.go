// Command release makes everything that is published, out of a checkout: the
// archives, the Debian and RPM packages, their checksums and bills of
// materials, the Homebrew formula and the Scoop manifest. The same commit and
// the same version of Go make the same bytes.
//
//	go run ./packaging/release [-out dist] [-platforms linux/amd64,...] [-clean]
//
// It runs at the root of the module. The version and the time come from git;
// without git, from $VERSION and $SOURCE_DATE_EPOCH (seconds since 1970).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// allPlatforms is what is published.
const allPlatforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

func main() {
	out := flag.String("out", "dist", "the `FOLDER` to write to; what is in it is removed first")
	platforms := flag.String("platforms", allPlatforms, "a `LIST` of what to build for")
	clean := flag.Bool("clean", false, "refuse a checkout with changes that are not committed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := makeRelease(ctx, *out, strings.Split(*platforms, ","), *clean)
	if err != nil {
		fmt.Fprintln(os.Stderr, "release: error:", err)
		os.Exit(1)
	}
}

// release is one run.
type release struct {
	version version
	time    time.Time // of the commit; of every file, too
	out     string    // what is published
	work    string    // what is not; removed at the end

	notices []byte            // the licences of what is linked
	manual  map[string][]byte // by the name of the page: cspctl.1
	scripts map[string][]byte // completion, by the shell's name
	hashes  map[string]string // SHA-256 of what is in out, in hex
}

// makeRelease writes a release for some platforms to a folder. What there is
// one of for all platforms is made only if all are built.
func makeRelease(ctx context.Context, out string, platforms []string, clean bool) error {
	r := &release{out: out, hashes: map[string]string{}}
	var err error
	if r.version, r.time, err = fromGit(ctx, os.Getenv); err != nil {
		return err
	}
	if clean && r.version.dirty {
		return errors.New("there are changes that are not committed: commit them, or run make packages")
	}
	if err := emptyFolder(out); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "release"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(r.work) }()
	if err := r.describe(ctx); err != nil {
		return err
	}
	for _, name := range platforms {
		p, err := parsePlatform(name)
		if err != nil {
			return err
		}
		if err := r.platform(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	if strings.Join(platforms, ",") == allPlatforms {
		if err := r.manifests(); err != nil {
			return err
		}
	}
	return r.checksums()
}

// describe makes what is the same for all platforms.
func (r *release) describe(ctx context.Context) error {
	host, err := hostPlatform(ctx)
	if err != nil {
		return err
	}
	bin, err := r.build(ctx, host)
	if err != nil {
		return err
	}
	if r.manual, err = r.manualPages(ctx, bin, host); err != nil {
		return err
	}
	if r.scripts, err = completions(ctx, bin, host); err != nil {
		return err
	}
	r.notices, err = notices(ctx)
	return err
}

// platform makes all that is for one platform.
func (r *release) platform(ctx context.Context, p platform) error {
	fmt.Println("release:", r.version.plain, p)
	bin, err := r.build(ctx, p)
	if err != nil {
		return err
	}
	bom, err := r.bom(p, bin)
	if err != nil {
		return err
	}
	if err := r.write(r.name(p)+".cdx.json", bom); err != nil {
		return err
	}
	if err := r.archive(p, bin); err != nil {
		return err
	}
	if p.os != "linux" {
		return nil
	}
	for _, packager := range []string{"deb", "rpm"} {
		if err := r.linuxPackage(ctx, packager, p, bin); err != nil {
			return err
		}
	}
	return nil
}

// name is what the files for a platform are called, without an extension.
func (r *release) name(p platform) string {
	return "cspctl_" + r.version.plain + "_" + p.os + "_" + p.arch
}

// emptyFolder makes a folder. One that holds something other than a release is
// refused, since all in it would be lost.
func emptyFolder(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(path, sumsFile)); err != nil && filepath.Base(path) != "dist" {
			return fmt.Errorf("%s is not empty, and holds no release", path)
		}
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o755)
}
