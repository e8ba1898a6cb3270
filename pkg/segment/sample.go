package segment

import (
	"context"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// sampleRowsOf picks count of n rows (all when there are no more), one of each of count equal stretches, at places that
// only look random: periodic data does not fool the sample, and equal files come out equal.
func sampleRowsOf(n, count int) []uint32 {
	count = min(n, count)
	out := make([]uint32, count)
	for i := range out {
		lo := i * n / count
		width := (i+1)*n/count - lo
		x := (uint64(i) + 1) * 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		out[i] = uint32(lo + int((x^x>>31)%uint64(width)))
	}
	return out
}

// A sample of the rows lies in files whose filters may be tested lazily, so that estimating what a filter selects reads
// one section instead of all columns that it names.
const (
	sampleCount = 1000
	sampleBytes = 768 << 10 // of its rows, encoded; fewer rows are taken if they have more
	sampleTests = 512       // rows tested for an estimate without a sample
)

// sampleBatch returns the sampled rows of all columns that filters can name.
func (w *fileWriter) sampleBatch(z *zstd.Decoder) ([]byte, error) {
	for count := sampleCount; ; count /= 4 {
		rows := sampleRowsOf(w.rows, count)
		b := &schema.Batch{N: len(rows)}
		for _, e := range w.enc {
			if e.meta.Type.IsVector() {
				continue
			}
			c, err := e.rows(rows, w.rows, z)
			if err != nil {
				return nil, err
			}
			b.Columns = append(b.Columns, c)
		}
		if raw := b.Encode(nil); len(raw) <= sampleBytes || count < 4 {
			return w.zstd.EncodeAll(raw, nil), nil
		}
	}
}

// rows returns rows of a written column.
func (e *columnEncoder) rows(rows []uint32, n int, z *zstd.Decoder) (*schema.Column, error) {
	if isText(e.meta.Type) {
		c, err := e.written(n, z).gather(rows)
		if err != nil {
			return nil, err
		}
		c.Field = e.meta.Field
		return c, nil
	}
	c, err := e.column(n, z)
	if err != nil {
		return nil, err
	}
	return gather(c, rows), nil
}

// sampled is a segment's sample, read at the first estimate.
type sampled struct {
	mu    sync.Mutex // guards batch; held while reading
	batch *schema.Batch
}

// share estimates which share of the rows a plan selects.
func (s *Sealed) share(p *plan.Plan) float64 {
	b, err := s.sampleRows()
	if err == nil {
		var set bitset.Set
		if set, err = p.Bitmap(sampleSource{s, b}); err == nil {
			return float64(set.Count()) / float64(b.N)
		}
	}
	return p.Estimate(s, sampleTests) // no sample: the columns are read. Who then evaluates the plan meets errors.
}

func (s *Sealed) sampleRows() (*schema.Batch, error) {
	s.sample.mu.Lock()
	defer s.sample.mu.Unlock()
	if s.sample.batch != nil {
		return s.sample.batch, nil
	}
	b, err := s.readSample()
	if err != nil {
		return nil, err
	}
	for _, c := range b.Columns {
		s.bytes.Add(columnBytes(c))
	}
	s.sample.batch = b
	return b, nil
}

func (s *Sealed) readSample() (*schema.Batch, error) {
	ctx, cancel := context.WithTimeout(s.ctx, loadTimeout)
	defer cancel()
	packed, err := s.file.section(ctx, secSample, 0)
	if err != nil {
		return nil, err
	}
	if packed == nil {
		return nil, errs.New(errs.Internal, "%s has no sample", s.file.name)
	}
	raw, err := s.zstd.DecodeAll(packed, nil)
	if err != nil {
		return nil, corrupt(s.file.name, "sample: %v", err)
	}
	b, err := schema.DecodeBatch(raw)
	if err != nil || b.N == 0 || b.N > s.Rows() {
		return nil, corrupt(s.file.name, "sample: %v", err)
	}
	return b, nil
}

// sampleSource is the sampled rows as a plan.Source.
type sampleSource struct {
	seg   *Sealed
	batch *schema.Batch
}

// Rows implements plan.Source.
func (s sampleSource) Rows() int { return s.batch.N }

// Column implements plan.Source.
func (s sampleSource) Column(field int64) (*schema.Column, error) {
	if c := s.batch.Column(field); c != nil {
		return c, nil
	}
	if field == schema.TimestampField {
		return stampColumn(s.seg.Timestamps(sampleRowsOf(s.seg.Rows(), s.batch.N))), nil
	}
	if f := s.seg.schema.Load().FieldByID(field); f != nil {
		return missing(f, s.batch.N), nil
	}
	return nil, errs.New(errs.FieldNotFound, "segment %d has no field %d", s.seg.cfg.ID, field)
}
