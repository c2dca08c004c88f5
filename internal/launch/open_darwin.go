package launch

import "context"

func (l *Launcher) open(ctx context.Context, page string) error {
	return l.openChild(ctx, "/usr/bin/open", page)
}
