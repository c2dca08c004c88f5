package atomicfile

// syncDir does nothing: NTFS journals names by itself, and a folder's handle
// can't be flushed.
func syncDir(string) error { return nil }
