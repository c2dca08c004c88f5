package main

// closest returns the one of names that word is most likely a misspelling of,
// or "" if none is near.
func closest(word string, names []string) string {
	best, at := "", 3
	for _, n := range names {
		most := 2
		if len(n) < 6 { // a short word is near to everything
			most = 1
		}
		if d := slips(word, n); d < at && d <= most && d < len(n) {
			best, at = n, d
		}
	}
	return best
}

// slips counts the letters to insert, drop, change or swap with a neighbour
// to turn a into b.
func slips(a, b string) int {
	const far = 99
	if max(len(a), len(b)) > 40 {
		return far
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
