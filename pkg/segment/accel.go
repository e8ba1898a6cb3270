package segment

import (
	"cmp"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/schema"
)

// accelRows: smaller files get nothing that makes filters cheaper. Reading all of their columns costs a millisecond or
// two, and each section costs a page of the file at least.
const accelRows = 4096

// sampleFrom: files of so many times as many rows get a sample of them. Smaller ones are evaluated whole at once.
const sampleFrom = bitmapRows / accelRows

// autoShare: what is indexed without being asked for may make a segment's files larger by one part in so many.
const autoShare = 10

// accelerate writes what makes filters cheaper and is not needed to answer them.
func (w *fileWriter) accelerate(out *container, meta *fileMeta) error {
	if w.rows < w.least {
		return nil
	}
	z, err := newTextDecoder()
	if err != nil {
		return err
	}
	defer z.Close()
	for _, e := range w.enc {
		if e.meta.Type != schema.JSON {
			continue
		}
		paths, err := shred(out, e.written(w.rows, z), w.rows, w.zstd, w.nextID)
		if err != nil {
			return err
		}
		meta.Paths = append(meta.Paths, paths...)
	}
	if w.rows >= sampleFrom*w.least {
		raw, err := w.sampleBatch(z)
		if err != nil {
			return err
		}
		if err := out.add(secSample, 0, raw); err != nil {
			return err
		}
	}
	return w.indexScalars(out, z)
}

// indexScalars writes the indexes that were asked for, and small ones that were not.
func (w *fileWriter) indexScalars(out *container, z *zstd.Decoder) error {
	built := map[int64]*scalarIndex{}
	var auto []*scalarIndex
	for i, e := range w.enc {
		f := &w.schema.Fields[i]
		x, err := w.scalarIndex(f, e, z)
		if err != nil {
			return err
		}
		switch {
		case x == nil:
		case slices.Contains(w.indexed, f.ID):
			built[f.ID] = x
		default:
			auto = append(auto, x)
		}
	}
	slices.SortStableFunc(auto, func(a, b *scalarIndex) int { return cmp.Compare(a.size(), b.size()) })
	left := (w.parquet.size + out.off) / autoShare
	for _, x := range auto {
		if left -= x.size(); left < 0 {
			break
		}
		built[x.field] = x
	}
	for _, e := range w.enc {
		if x := built[e.meta.Field]; x != nil {
			m, err := x.write(out, w.zstd, w.nextID())
			if err != nil {
				return err
			}
			e.meta.Index, e.meta.Few = m, x.few()
		}
	}
	return nil
}
