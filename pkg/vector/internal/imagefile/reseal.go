package imagefile

import "encoding/binary"

// Reseal makes the checksums of an edited file right again, so that tests reach what lies behind them. Bytes that are no
// file stay as they are, but for the checksum of the first page.
func (f *Format) Reseal(b []byte) {
	if len(b) < PageSize {
		return
	}
	fix := func() { binary.LittleEndian.PutUint32(b[PageSize-4:], checksum(b[:PageSize-4])) }
	fix()
	l, _, err := f.Decode(b[:PageSize], int64(len(b)))
	if err != nil {
		return
	}
	s, _ := l.Find(f.checksums())
	i := s.Off
	l.eachBlock(func(_ Section, off, end uint64) bool {
		binary.LittleEndian.PutUint32(b[i:], checksum(b[off:end]))
		i += 4
		return true
	})
	binary.LittleEndian.PutUint32(b[60:], checksum(b[s.Off:s.End()]))
	fix()
}
