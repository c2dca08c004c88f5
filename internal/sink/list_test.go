package sink

import "testing"

func FuzzParseList(f *testing.F) {
	f.Add([]byte(`{"version":1,"sinks":[{"profile":"prod","format":"raw","file":"/x/prod","mode":384}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseList(b)
		if err != nil {
			return
		}
		for _, e := range c.Sinks {
			if e.Mode&^0o640 != 0 || e.Profile == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}
