package main

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

// maxInput bounds what is read from a person or a file, in bytes: no request
// is larger.
const maxInput = ipc.MaxRequestBody

// codeOf returns the code of an error, or "".
func codeOf(err error) ipc.Code {
	if e, ok := errors.AsType[*ipc.Error](err); ok && e != nil {
		return e.Code
	}
	return ""
}

// readSecret reads a secret from the file that a flag names, from stdin if that
// is "-", or asks for it with question. what is how a person calls it.
func (a *app) readSecret(path, flag, what, question string) (secret.Wire, error) {
	var text secret.Text
	switch path {
	case "":
		tty, err := a.openTTY()
		if err != nil {
			return secret.Wire{}, usage("there is no terminal to ask for the "+what+" on", "add "+flag+" FILE, or "+flag+" - for stdin")
		}
		defer func() { _ = tty.Close() }()
		if text, err = tty.Secret(question, maxInput); err != nil {
			return secret.Wire{}, failed(ipc.CodeInternal, reason(err), "")
		}
	case "-":
		if a.isTerminal(0) {
			return secret.Wire{}, usage("stdin is a terminal, which would show the "+what, "leave "+flag+" out to be asked without echo")
		}
		s, err := readAll(a.stdin, "stdin")
		if err != nil {
			return secret.Wire{}, err
		}
		text = secret.New(s)
	default:
		s, err := readSmall(path, flag)
		if err != nil {
			return secret.Wire{}, err
		}
		text = secret.New(s)
	}
	// A byte order mark and line ends come from editors, not from servers.
	text = secret.New(strings.TrimSpace(strings.TrimPrefix(text.Reveal(), "\uFEFF")))
	if text.IsZero() {
		return secret.Wire{}, usage("the "+what+" is empty", "nothing was changed")
	}
	return secret.Wire{Text: text}, nil
}

// askPasscode asks a person for the one-time passcode that an exchange was
// refused without. Where there is nobody to ask, it returns that refusal.
func (a *app) askPasscode(refusal error) (secret.Wire, error) {
	tty, err := a.openTTY()
	if err != nil {
		return secret.Wire{}, refusal
	}
	defer func() { _ = tty.Close() }()
	text, err := tty.Secret("one-time passcode: ", 64)
	if err != nil {
		return secret.Wire{}, failed(ipc.CodeInternal, reason(err), "")
	}
	code := strings.TrimSpace(text.Reveal())
	return secret.NewWire(code), checkPasscode(code)
}

// readSmall returns the content of the file that a flag names; "" for no file.
func readSmall(path, flag string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", usage("can't read the file of "+flag+": "+reason(err), "")
	}
	defer func() { _ = f.Close() }()
	return readAll(f, "the file of "+flag)
}

func readAll(r io.Reader, what string) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return "", usage("can't read "+what+": "+reason(err), "")
	}
	if len(b) > maxInput {
		return "", usage(what+" holds more than "+strconv.Itoa(maxInput>>10)+" KiB", "is it the right one?")
	}
	return string(b), nil
}
