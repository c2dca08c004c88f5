package term

// Style colours text for one output. The zero value leaves it as it is.
type Style struct{ on bool }

// StyleFor returns the style for an output: coloured on a terminal, unless the
// environment says otherwise (NO_COLOR of no-color.org, TERM=dumb).
func StyleFor(terminal bool, getenv func(string) string) Style {
	return Style{on: terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

// Colours returns the style that colours if on.
func Colours(on bool) Style { return Style{on} }

func (s Style) wrap(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold returns text in bold.
func (s Style) Bold(text string) string { return s.wrap("1", text) }

// Dim returns text less bright.
func (s Style) Dim(text string) string { return s.wrap("2", text) }

// Red returns text for what is broken.
func (s Style) Red(text string) string { return s.wrap("31", text) }

// Green returns text for what is well.
func (s Style) Green(text string) string { return s.wrap("32", text) }

// Yellow returns text for what needs care.
func (s Style) Yellow(text string) string { return s.wrap("33", text) }
