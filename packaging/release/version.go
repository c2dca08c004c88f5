package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// version is one version in the words of each who asks.
type version struct {
	raw   string // what git says, and what the commands print: v1.2.0-3-g5f8d6b5
	tag   string // v1.2.0, if it is exactly that; else empty
	plain string // in the names of files: 1.2.0, 1.2.0+3.g5f8d6b5, 0.0.0-git20261125.5f8d6b5
	linux string // of packages, ordered as dpkg and rpm do: 1.2.0~rc.1, 0.0.0~git20261125.5f8d6b5
	dirty bool   // with changes that are not committed
}

// described is the output of git describe where there is a tag; semantic
// versions alone are tags.
var described = regexp.MustCompile(`^(v(\d+\.\d+\.\d+)(-[0-9A-Za-z.-]+?)??)(-(\d+)-(g[0-9a-f]+))?$`)

// newVersion reads what git describe says of a commit made at t.
func newVersion(raw string, t time.Time) (version, error) {
	v := version{raw: raw}
	text, changed := strings.CutSuffix(raw, "-dirty")
	v.dirty = changed
	m := described.FindStringSubmatch(text)
	switch {
	case m != nil:
		v.linux = m[2]
		if m[3] != "" { // before the version itself
			v.linux += "~" + strings.ReplaceAll(m[3][1:], "-", ".")
		}
		if m[4] != "" {
			v.linux += "+" + m[5] + "." + m[6]
		} else if !changed {
			v.tag = m[1]
		}
	case regexp.MustCompile(`^[0-9a-f]{7,40}$`).MatchString(text):
		v.linux = "0.0.0~git" + t.UTC().Format("20060102") + "." + text
	default:
		return v, fmt.Errorf("%q is no version: expected v1.2.3, or what git describe says", raw)
	}
	if changed {
		v.linux += "+dirty"
	}
	v.plain = strings.ReplaceAll(v.linux, "~", "-")
	return v, nil
}

// fromGit returns the version and the time of the commit.
func fromGit(ctx context.Context, getenv func(string) string) (version, time.Time, error) {
	raw, epoch := getenv("VERSION"), getenv("SOURCE_DATE_EPOCH")
	var err error
	if raw == "" { // the length is fixed: by default it grows with the clone
		if raw, err = git(ctx, "describe", "--tags", "--always", "--dirty", "--abbrev=7", "--match=v[0-9]*"); err != nil {
			return version{}, time.Time{}, err
		}
	}
	if epoch == "" {
		if epoch, err = git(ctx, "log", "-1", "--format=%ct"); err != nil {
			return version{}, time.Time{}, err
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return version{}, time.Time{}, fmt.Errorf("%q is no time in seconds since 1970", epoch)
	}
	t := time.Unix(seconds, 0).UTC()
	v, err := newVersion(raw, t)
	return v, t, err
}

func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		return "", errors.New("git says no version: set VERSION=v1.2.3 and SOURCE_DATE_EPOCH (" + err.Error() + ")")
	}
	return strings.TrimSpace(string(out)), nil
}
