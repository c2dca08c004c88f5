package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// manualPages fills in the sources of the manual pages. What the commands say
// of themselves comes from their own help, so that there is no second copy of
// commands and flags. A line of a source may be
//
//	@COMMANDS@  every command of cspctl
//	@EXIT@      the exit codes of cspctl
//	@AGENT@     the help of csp-agent
//
// and @DATE@ and @VERSION@ stand within lines.
func (r *release) manualPages(ctx context.Context, bin string, host platform) (map[string][]byte, error) {
	cspctl := func(args ...string) (string, error) {
		return output(ctx, append([]string{filepath.Join(bin, host.program("cspctl"))}, args...)...)
	}
	overview, err := cspctl("help")
	if err != nil {
		return nil, err
	}
	commands, err := commandSections(cspctl, nil, overview)
	if err != nil {
		return nil, err
	}
	exit, err := exitCodes(overview)
	if err != nil {
		return nil, err
	}
	agent, err := output(ctx, filepath.Join(bin, host.program("csp-agent")), "help")
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("@COMMANDS@\n", commands, "@EXIT@\n", exit, "@AGENT@\n", roff(afterUsage(agent)),
		"@DATE@", r.time.Format("2006-01-02"), "@VERSION@", escape(r.version.raw))
	sources, err := filepath.Glob("packaging/man/*.[1-8]")
	if err != nil || len(sources) == 0 {
		return nil, errors.New("there are no sources of manual pages: run this at the root of the module")
	}
	pages := map[string][]byte{}
	for _, path := range sources {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		pages[filepath.Base(path)] = []byte(fill.Replace(string(b)))
	}
	return pages, nil
}

// commandSections returns a section for each command that help names, those
// below another one behind it.
func commandSections(cspctl func(...string) (string, error), above []string, help string) (string, error) {
	var b strings.Builder
	for _, name := range commandNames(help) {
		path := append(append([]string{}, above...), name)
		text, err := cspctl(append([]string{"help"}, path...)...)
		if err != nil {
			return "", err
		}
		head, rest, _ := strings.Cut(text, "\n")
		_, summary, ok := strings.Cut(head, ": ")
		_, usage, has := strings.Cut(rest, "Usage: ")
		if !ok || !has {
			return "", fmt.Errorf("the help of %s has no summary or no usage: %q", strings.Join(path, " "), text)
		}
		usage, _, _ = strings.Cut(usage, "\n")
		b.WriteString(".SS \"" + strings.ReplaceAll(escape(usage), `"`, `\(dq`) + "\"\n" + roff(sentence(summary)) + roff(afterUsage(rest)))
		below, err := commandSections(cspctl, path, rest)
		if err != nil {
			return "", err
		}
		b.WriteString(below)
	}
	return b.String(), nil
}

// commandNames are the names in the list of commands of a help text.
func commandNames(help string) (names []string) {
	_, list, ok := strings.Cut(help, "\nCommands:\n")
	if !ok {
		return nil
	}
	for line := range strings.Lines(list) {
		if !strings.HasPrefix(line, "  ") {
			break
		}
		names = append(names, strings.Fields(line)[0])
	}
	return names
}

func afterUsage(help string) string {
	if i := strings.Index(help, "Usage: "); i >= 0 {
		_, help, _ = strings.Cut(help[i:], "\n\n")
	}
	return help
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

var exitCode = regexp.MustCompile(`(?:^|, )(\d+) `)

// exitCodes makes a list of the paragraph on exit codes.
func exitCodes(overview string) (string, error) {
	_, text, ok := strings.Cut(overview, "Exit codes: ")
	if !ok {
		return "", errors.New("the help of cspctl has no exit codes")
	}
	text, _, _ = strings.Cut(text, "\n\n")
	text, more, _ := strings.Cut(strings.ReplaceAll(text, "\n", " "), ". ")
	codes, meanings := exitCode.FindAllStringSubmatch(text, -1), exitCode.Split(text, -1)[1:]
	var b strings.Builder
	for i, code := range codes {
		b.WriteString(".TP\n.B " + code[1] + "\n" + escape(meanings[i]) + "\n")
	}
	return b.String() + ".PP\n" + escape(more) + "\n", nil
}

// roff turns a text as help prints it into the macros of man(7): paragraphs,
// headings that end with a colon, and below them lists of a word and what it
// means, behind spaces or on lines of their own. Examples stay as they are.
func roff(text string) string {
	var b strings.Builder
	heading := ""
	for block := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		for part := range strings.SplitSeq(splitHeading(block), "\x00") {
			lines := strings.Split(strings.TrimRight(part, "\n"), "\n")
			switch {
			case part == "":
			case !strings.HasPrefix(part, "  "):
				heading = strings.TrimSpace(part)
				b.WriteString(".PP\n" + escapeLines(lines))
			case strings.HasPrefix(heading, "Examples") || !isList(lines):
				b.WriteString(".RS 4\n.EX\n" + escapeLines(trimIndent(lines)) + ".EE\n.RE\n")
			default:
				b.WriteString(list(lines))
			}
		}
	}
	return b.String()
}

// splitHeading parts a heading from the indented lines below it.
func splitHeading(block string) string {
	return regexp.MustCompile(`(?m)^(\S.*:)\n(  )`).ReplaceAllString(block, "$1\x00$2")
}

// item is a word of a list with the start of its meaning, if that is on the
// same line.
var item = regexp.MustCompile(`^  (\S+(?: \S+)*)(?:  +(\S.*))?$`)

func isList(lines []string) bool {
	for i, line := range lines {
		m := item.FindStringSubmatch(line)
		below := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "      ")
		if !strings.HasPrefix(line, "      ") && (m == nil || m[2] == "" && !below) {
			return false
		}
	}
	return true
}

func list(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		m := item.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(line, "      ") {
			b.WriteString(escape(strings.TrimSpace(line)) + "\n")
			continue
		}
		b.WriteString(".TP\n" + emphasized(m[1]) + "\n")
		if m[2] != "" {
			b.WriteString(escape(m[2]) + "\n")
		}
	}
	return b.String()
}

// emphasized sets what is typed in bold, and what stands for something in
// italics: --org ORG.
func emphasized(words string) string {
	name, rest, has := strings.Cut(words, " ")
	s := `\fB` + escape(name) + `\fR`
	if has && rest == strings.ToUpper(rest) {
		return s + ` \fI` + escape(rest) + `\fR`
	} else if has {
		return s + ` \fB` + escape(rest) + `\fR`
	}
	return s
}

func trimIndent(lines []string) []string {
	least := 1 << 10
	for _, l := range lines {
		least = min(least, len(l)-len(strings.TrimLeft(l, " ")))
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l[least:]
	}
	return out
}

func escapeLines(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(escape(l) + "\n")
	}
	return b.String()
}

// escape keeps roff from taking anything in s for its own, and from setting
// what can be typed in other characters (groff_char(7)).
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
