package main

import (
	"os"
	"regexp"
	"strings"
)

// debianCopyright stands before the licences of what is linked.
const debianCopyright = `cspctl and csp-agent, from https://github.com/cspctl/cspctl

Copyright: the authors of cspctl

    Licensed under the Apache License, Version 2.0 (the "License"); you may
    not use these files except in compliance with the License. You may obtain
    a copy of the License at http://www.apache.org/licenses/LICENSE-2.0

    Unless required by applicable law or agreed to in writing, software
    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
    License for the specific language governing permissions and limitations
    under the License.

On Debian systems, the text of the Apache License, Version 2.0, is in
/usr/share/common-licenses/Apache-2.0.

`

var maintainerLine = regexp.MustCompile(`(?m)^maintainer: (.*)$`)

// debianChangelog makes a changelog as Debian Policy 4.4 has it of the newest
// section of CHANGELOG.md.
func (r *release) debianChangelog() ([]byte, error) {
	b, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return nil, err
	}
	config, err := os.ReadFile("packaging/nfpm.yaml")
	if err != nil {
		return nil, err
	}
	who := "cspctl"
	if m := maintainerLine.FindStringSubmatch(string(config)); m != nil {
		who = m[1]
	}
	text := "cspctl (" + r.version.linux + ") unstable; urgency=medium\n\n" + changes(string(b)) +
		"\n -- " + who + "  " + r.time.Format("Mon, 02 Jan 2006 15:04:05 -0700") + "\n"
	return compressed([]byte(text))
}

// changes are the items of the first section of a changelog in Markdown.
func changes(markdown string) string {
	_, section, _ := strings.Cut(markdown, "\n## ")
	section, _, _ = strings.Cut(section, "\n## ")
	_, section, _ = strings.Cut(section, "\n") // its heading
	var out strings.Builder
	line := ""
	flush := func() {
		if line != "" {
			out.WriteString(line + "\n")
		}
	}
	for word := range strings.FieldsSeq(section) {
		switch {
		case word == "-":
			flush()
			line = "  *"
		case line == "" || len(line)+1+len(word) > 79:
			flush()
			line = "    " + word
		default:
			line += " " + word
		}
	}
	flush()
	return out.String()
}
