package doctor

import "golang.org/x/sys/unix"

func isReadOnly(s *unix.Statfs_t) bool { return s.Flags&unix.ST_RDONLY != 0 }
