package service

// checkProgram leaves it to the folder's access list who may replace a program.
func checkProgram(string, Scope) error { return nil }
