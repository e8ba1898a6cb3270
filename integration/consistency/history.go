package consistency

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Kind is what an operation does to a key.
type Kind int

// The kinds of operations.
const (
	Upsert Kind = iota
	Delete
	Read
)

// Results of a Read that are no version.
const (
	Absent  int64 = 0
	Doubled int64 = -1 // more than one row of a key: no state of the register explains it
)

// Input is an operation as it was sent. Version belongs to Upsert.
type Input struct {
	Kind    Kind
	Key     int64
	Version int64
	Via     string // how it was sent, for people
}

// History is what clients did and saw. It is safe for concurrent use.
type History struct {
	begin   time.Time
	mu      sync.Mutex
	done    []porcupine.Operation
	unknown []porcupine.Operation
	clients int
}

// NewHistory returns an empty history.
func NewHistory() *History { return &History{begin: time.Now()} }

// Client returns a new client's number. A client whose call has an unknown outcome goes on under a new one, since that
// call may still be under way.
func (h *History) Client() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients++
	return h.clients - 1
}

// Now is a time on the history's clock.
func (h *History) Now() int64 { return int64(time.Since(h.begin)) }

// Done adds an operation that was answered. saw belongs to Read.
func (h *History) Done(client int, in Input, called int64, saw int64) {
	now := h.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = append(h.done, porcupine.Operation{ClientId: client, Input: in, Call: called, Output: saw, Return: now})
}

// Unknown adds a write that was not answered, or answered by an error: it may take effect at any time from then on, or
// never. Reads without an answer are not part of a history.
func (h *History) Unknown(client int, in Input, called int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unknown = append(h.unknown, porcupine.Operation{ClientId: client, Input: in, Call: called, Output: Absent})
}

// Counts says how many operations were answered and how many writes have an unknown outcome.
func (h *History) Counts() (done, unknown int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.done), len(h.unknown)
}

// operations returns the history for the checker. A write of unknown outcome is pending to the end; an upsert among
// them whose version nobody saw is left out: its effect, if it had one, was over before the next read, so that the
// history is linearizable with it exactly if it is without, and the search for an order is exponential in such writes.
func (h *History) operations() []porcupine.Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	type value struct{ key, version int64 }
	seen := map[value]bool{}
	end := int64(0)
	for _, op := range h.done {
		end = max(end, op.Return)
		if in := op.Input.(Input); in.Kind == Read {
			seen[value{in.Key, op.Output.(int64)}] = true
		}
	}
	for _, op := range h.unknown {
		end = max(end, op.Call)
	}
	all := slices.Clone(h.done)
	for _, op := range h.unknown {
		in := op.Input.(Input)
		if in.Kind == Upsert && !seen[value{in.Key, in.Version}] {
			continue
		}
		op.Return = end + 1
		all = append(all, op)
	}
	return all
}

// Check looks for an order of the operations that explains what was seen, key by key. If there is none it writes a
// picture of the violation and says where.
func (h *History) Check(name string, limit time.Duration) error {
	model := register()
	result, info := porcupine.CheckOperationsVerbose(model, h.operations(), limit)
	switch result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("no answer about the history of %s within %s: make its keys' lives shorter", name, limit)
	}
	where, err := os.MkdirTemp("", "gyr-history-")
	if err != nil {
		return fmt.Errorf("%s is not linearizable; no folder for the picture: %w", name, err)
	}
	picture := filepath.Join(where, name+".html")
	if err := porcupine.VisualizePath(model, info, picture); err != nil {
		return fmt.Errorf("%s is not linearizable; no picture: %w", name, err)
	}
	return fmt.Errorf("%s is not linearizable: keys %v; see %s", name, h.culprits(limit), picture)
}

// culprits returns the keys whose histories have no explanation.
func (h *History) culprits(limit time.Duration) []int64 {
	model := register()
	var out []int64
	for _, part := range byKey(h.operations()) {
		if porcupine.CheckOperationsTimeout(model, part, limit) == porcupine.Illegal {
			out = append(out, part[0].Input.(Input).Key)
		}
	}
	slices.Sort(out)
	return out
}

// register is the model: each key is a register that holds a version, or Absent.
func register() porcupine.Model {
	return porcupine.Model{
		Partition: byKey,
		Init:      func() any { return Absent },
		Step: func(state, input, output any) (bool, any) {
			switch in := input.(Input); in.Kind {
			case Upsert:
				return true, in.Version
			case Delete:
				return true, Absent
			default:
				return output.(int64) == state.(int64), state
			}
		},
		DescribeOperation: describe,
		DescribeState: func(state any) string {
			if v := state.(int64); v != Absent {
				return fmt.Sprintf("version %d", v)
			}
			return "absent"
		},
	}
}

func describe(input, output any) string {
	switch in := input.(Input); in.Kind {
	case Upsert:
		return fmt.Sprintf("upsert %d = %d %s", in.Key, in.Version, in.Via)
	case Delete:
		return fmt.Sprintf("delete %d %s", in.Key, in.Via)
	default:
		return fmt.Sprintf("read %d: %d %s", in.Key, output, in.Via)
	}
}

func byKey(all []porcupine.Operation) [][]porcupine.Operation {
	parts := map[int64][]porcupine.Operation{}
	for _, op := range all {
		k := op.Input.(Input).Key
		parts[k] = append(parts[k], op)
	}
	var out [][]porcupine.Operation
	for _, part := range parts {
		out = append(out, part)
	}
	// Short histories first: most violations are found in a moment.
	slices.SortFunc(out, func(a, b []porcupine.Operation) int { return cmp.Compare(len(a), len(b)) })
	return out
}
