package diskann

import (
	"context"
	"fmt"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	// firstBatch is the size of the first batch; later ones are as large as all before them, up to a share of the rows:
	// rows of one batch do not see each other.
	firstBatch = 8
	maxBatch   = 0.02
	minBatch   = 256

	seed = 0x9e3779b97f4a7c15
)

// builder inserts rows into a graph in memory.
type builder struct {
	cfg  Config
	rows vector.Rows
	img  *image // hot part of the file

	dim     int // of the space that the graph is built in
	length2 float64
	quant   sq8.Quantiser
	codes   kernel.Codes
	// distance(x, y) = weight[y] + bias[x] - 2<x, u(y)>, in the space of the graph
	weight, bias []int32

	links  []uint32 // Degree for each row, the nearest first, ended by none
	order  []uint32 // nodes in the order of their insertion; the first are the hubs
	hubs   []uint32 // those inserted so far
	twins  map[uint32][]uint32
	report *work.Reporter
}

func (b *builder) list(id uint32) []uint32 {
	at := int(id) * b.cfg.Degree
	return b.links[at : at+b.cfg.Degree : at+b.cfg.Degree]
}

// linked returns the links of a node.
func (b *builder) linked(id uint32) []uint32 { return used(b.list(id)) }

// used cuts a list at its end.
func used(list []uint32) []uint32 {
	if end := slices.Index(list, none); end >= 0 {
		return list[:end]
	}
	return list
}

func setLinks(list, ids []uint32) {
	copy(list, ids)
	for i := len(ids); i < len(list); i++ {
		list[i] = none
	}
}

func (b *builder) workers() int { return work.Workers(b.cfg.Workers) }

// Build makes a graph of all rows, which must lie in memory and stay valid until the File is closed, as it writes the
// vectors from them. progress, if not nil, is told the finished share from one goroutine at a time.
func Build(ctx context.Context, cfg Config, rows vector.Rows, progress func(float32)) (*File, error) {
	if err := cfg.validate(rows); err != nil {
		return nil, fmt.Errorf("building a DISKANN index: %w", err)
	}
	b := &builder{cfg: cfg, rows: rows, report: work.NewReporter(progress, rows.Len())}
	h := header{metric: cfg.Metric, elem: rows.Elem(), dim: rows.Dim(), degree: cfg.Degree, list: cfg.SearchList, rows: rows.Len(), widen: 1}
	h.hubs = h.hubBudget()
	var err error
	if b.img, err = newImage(h, h.plan()); err != nil {
		return nil, err
	}
	if err := b.run(ctx); err != nil {
		return nil, imagefile.JoinClose(fmt.Errorf("building a DISKANN index: %w", err), b.img)
	}
	b.img.seal()
	b.report.Finish()
	return &File{img: b.img, rows: rows, links: b.links}, nil
}

func (b *builder) run(ctx context.Context) error {
	b.links = make([]uint32, b.rows.Len()*b.cfg.Degree)
	for i := range b.links {
		b.links[i] = none
	}
	if b.rows.Len() == 0 {
		return nil
	}
	b.img.quant.Set = b.cfg.Set
	b.encode()
	b.plan()
	if err := b.insertAll(ctx); err != nil {
		return err
	}
	b.linkTwins()
	b.fillHubs()
	b.fillSlots()
	var err error
	b.img.head.widen, err = b.measureWidening(ctx)
	return err
}

// plan shuffles the nodes.
func (b *builder) plan() {
	b.findTwins()
	for i := len(b.order) - 1; i > 0; i-- {
		j := work.Mix(uint64(i)+seed) % uint64(i+1)
		b.order[i], b.order[j] = b.order[j], b.order[i]
	}
}

// insertAll inserts batch by batch.
func (b *builder) insertAll(ctx context.Context) error {
	most := max(minBatch, int(maxBatch*float64(len(b.order))))
	inserters := make([]*inserter, b.workers())
	for i := range inserters {
		inserters[i] = newInserter(b)
	}
	b.report.Done(1)
	calibrateAt := len(b.order) - b.hold()
	for from := 1; from < len(b.order); {
		b.hubs = b.order[:min(from, b.img.head.hubs)]
		if from == calibrateAt {
			if err := b.calibrate(ctx, b.order[from:]); err != nil {
				return err
			}
		}
		size := min(max(firstBatch, from), most, len(b.order)-from)
		if from < calibrateAt {
			size = min(size, calibrateAt-from)
		}
		if err := b.insertBatch(ctx, b.order[from:from+size], inserters); err != nil {
			return err
		}
		from += size
		b.report.Done(size)
	}
	return nil
}

// insertBatch links rows into the graph as it is, and then the graph to them.
func (b *builder) insertBatch(ctx context.Context, batch []uint32, inserters []*inserter) error {
	const step = 8
	picks := make([][]uint32, len(batch))
	err := b.share(ctx, inserters, (len(batch)+step-1)/step, func(in *inserter, part int) {
		for i := part * step; i < min((part+1)*step, len(batch)); i++ {
			picks[i] = slices.Clone(in.neighbours(batch[i]))
		}
	})
	if err != nil {
		return err
	}
	edges := 0
	for i, id := range batch {
		setLinks(b.list(id), picks[i])
		edges += len(picks[i])
	}
	back := make([]uint64, 0, edges) // target<<32 | source
	for i, id := range batch {
		for _, to := range picks[i] {
			back = append(back, uint64(to)<<32|uint64(id))
		}
	}
	slices.Sort(back)
	var starts []int
	for i := range back {
		if i == 0 || back[i]>>32 != back[i-1]>>32 {
			starts = append(starts, i)
		}
	}
	starts = append(starts, len(back))
	return b.share(ctx, inserters, (len(starts)-2)/step+1, func(in *inserter, part int) {
		for i := part * step; i < min((part+1)*step, len(starts)-1); i++ {
			in.linkBack(back[starts[i]:starts[i+1]])
		}
	})
}

// share calls fn for 0 to count-1, with an inserter that nobody else uses meanwhile.
func (b *builder) share(ctx context.Context, inserters []*inserter, count int, fn func(in *inserter, part int)) error {
	free := make(chan *inserter, len(inserters))
	for _, in := range inserters {
		free <- in
	}
	return work.Try(ctx, len(inserters), count, func(part int) {
		in := <-free
		fn(in, part)
		free <- in
	})
}
