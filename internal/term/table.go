package term

import "strings"

// Cell is one field of a table: a text from anywhere, and the look of it.
type Cell struct {
	Text string
	Look func(string) string // nil: plain; such as [Style.Red]
}

// Table aligns rows of cells in columns. The zero value is an empty table.
type Table struct {
	rows [][]Cell
}

// Row adds a row of plain cells.
func (t *Table) Row(texts ...string) {
	cells := make([]Cell, len(texts))
	for i, s := range texts {
		cells[i].Text = s
	}
	t.Cells(cells...)
}

// Cells adds a row. Each text is cleaned (see [Clean]) before its look is
// applied.
func (t *Table) Cells(cells ...Cell) {
	row := make([]Cell, len(cells))
	for i, c := range cells {
		row[i] = Cell{Clean(c.Text), c.Look}
	}
	t.rows = append(t.rows, row)
}

// Width returns the columns of its longest line.
func (t *Table) Width() int {
	widths, total := t.widths(), 0
	for _, row := range t.rows {
		n := 0
		for i, c := range row {
			if c.Text != "" {
				n = Width(c.Text)
				for _, w := range widths[:i] {
					n += w + 2
				}
			}
		}
		total = max(total, n)
	}
	return total
}

func (t *Table) widths() (widths []int) {
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(c.Text))
		}
	}
	return widths
}

// String returns the table, each row ended by a newline, its columns two
// spaces apart, no spaces at the end of a line.
func (t *Table) String() string {
	widths := t.widths()
	var b strings.Builder
	for _, row := range t.rows {
		gap := 0 // owed before the next cell that has text
		for i, c := range row {
			if c.Text != "" {
				b.WriteString(strings.Repeat(" ", gap))
				gap = 0
				if c.Look != nil {
					b.WriteString(c.Look(c.Text))
				} else {
					b.WriteString(c.Text)
				}
			}
			gap += widths[i] - Width(c.Text) + 2
		}
		b.WriteByte('\n')
	}
	return b.String()
}
