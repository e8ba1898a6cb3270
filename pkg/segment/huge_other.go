//go:build !linux

package segment

// adviseHuge does nothing here: other systems choose page sizes by themselves.
func adviseHuge([]byte) {}
