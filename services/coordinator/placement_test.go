package coordinator

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/catalog"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output of the scripts in testdata")

// TestPlacementScripts runs testdata/place_*.txt. A script is a sequence of commands, each followed by "----", what it
// printed and an empty line if it prints:
//
//	nodes 1 2:900 3~      live querynodes, their memory behind a colon; ~ marks one that drains
//	shard C S log=L replicas=R from=P parts=1,2 segs=ID:BYTES,...   adds or replaces a shard; segs=- means none
//	drop C S              removes a shard
//	place                 plans, prints the wanted views, the bytes by node and the problems
//	publish               the wanted views become the current ones; prints how many segments moved
func TestPlacementScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/place_*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runScript(t, file, newPlaceScript().do) })
	}
}

// runScript compares what each command prints with the file, or rewrites the file.
func runScript(t *testing.T, file string, do func(cmd []string) string) {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	scanner := bufio.NewScanner(strings.NewReader(string(body)))
	inOutput := false
	for scanner.Scan() {
		line := scanner.Text()
		switch {
		case line == "----":
			inOutput = true
		case inOutput && line != "":
		case line == "":
			inOutput = false
		case strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
		default:
			out.WriteString(line + "\n")
			if printed := do(strings.Fields(line)); printed != "" {
				fmt.Fprintf(&out, "----\n%s\n\n", printed)
			}
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(body) {
		t.Errorf("%s prints\n%s\nwant\n%s", file, out.String(), body)
	}
}

type placeScript struct {
	in     placeInput
	wanted []catalog.View
}

func newPlaceScript() *placeScript { return &placeScript{in: placeInput{Slack: 0.05}} }

func (p *placeScript) do(cmd []string) string {
	switch cmd[0] {
	case "nodes":
		p.in.Nodes = nil
		for _, n := range cmd[1:] {
			number, memory, _ := strings.Cut(strings.TrimSuffix(n, "~"), ":")
			node := placeNode{Draining: strings.HasSuffix(n, "~")}
			node.ID, _ = strconv.ParseInt(number, 10, 64)
			node.Memory, _ = strconv.ParseInt(memory, 10, 64)
			p.in.Nodes = append(p.in.Nodes, node)
		}
	case "shard":
		p.shard(cmd[1:])
	case "drop":
		p.in.Shards = slices.DeleteFunc(p.in.Shards, func(s placeShard) bool {
			return fmt.Sprint(s.Collection) == cmd[1] && fmt.Sprint(s.Shard) == cmd[2]
		})
	case "place":
		var problems []string
		p.wanted, problems = place(p.in)
		return p.print(problems)
	case "publish":
		return p.publish()
	default:
		return "unknown command " + cmd[0]
	}
	return ""
}

func (p *placeScript) shard(args []string) {
	s := placeShard{Replicas: 1, Current: map[int]*catalog.View{}}
	s.Collection, _ = strconv.ParseInt(args[0], 10, 64)
	s.Shard, _ = strconv.Atoi(args[1])
	for _, a := range args[2:] {
		k, v, _ := strings.Cut(a, "=")
		n, _ := strconv.ParseInt(v, 10, 64)
		switch k {
		case "log":
			s.Log = int(n)
		case "replicas":
			s.Replicas = int(n)
		case "from":
			s.From = uint64(n)
		case "parts":
			for _, x := range strings.Split(v, ",") {
				id, _ := strconv.ParseInt(x, 10, 64)
				s.Partitions = append(s.Partitions, id)
			}
		case "segs":
			for _, x := range strings.Split(v, ",") {
				id, bytes, ok := strings.Cut(x, ":")
				if !ok {
					continue
				}
				seg := placeSegment{}
				seg.ID, _ = strconv.ParseInt(id, 10, 64)
				seg.Bytes, _ = strconv.ParseInt(bytes, 10, 64)
				s.Segments = append(s.Segments, seg)
			}
		}
	}
	for i := range p.in.Shards {
		if p.in.Shards[i].Collection == s.Collection && p.in.Shards[i].Shard == s.Shard {
			s.Current = p.in.Shards[i].Current
			p.in.Shards[i] = s
			return
		}
	}
	p.in.Shards = append(p.in.Shards, s)
}

func (p *placeScript) print(problems []string) string {
	var out []string
	load := map[catalog.NodeID]int64{}
	for _, v := range p.wanted {
		holders := map[catalog.NodeID][]int64{}
		for id, nodes := range v.Segments {
			for _, n := range nodes {
				holders[n] = append(holders[n], id)
				load[n] += p.bytes(id)
			}
		}
		line := fmt.Sprintf("%d/%d/%d from %d leader %d:", v.Collection, v.Shard, v.Replica, v.From, v.Leader)
		for _, n := range nodesOfView(&v) {
			if ids := holders[n]; len(ids) > 0 {
				slices.Sort(ids)
				line += fmt.Sprintf(" %d=%v", n, ids)
			}
		}
		out = append(out, line)
	}
	for _, n := range p.in.Nodes {
		out = append(out, fmt.Sprintf("node %d: %d bytes", n.ID, load[n.ID]))
	}
	for _, x := range problems {
		out = append(out, "problem: "+x)
	}
	return strings.Join(out, "\n")
}

func (p *placeScript) bytes(id int64) int64 {
	for _, s := range p.in.Shards {
		for _, seg := range s.Segments {
			if seg.ID == id {
				return seg.Bytes
			}
		}
	}
	return 0
}

func (p *placeScript) publish() string {
	changed, moved := 0, 0
	for i := range p.wanted {
		v := p.wanted[i]
		for k := range p.in.Shards {
			s := &p.in.Shards[k]
			if s.Collection != v.Collection || s.Shard != v.Shard {
				continue
			}
			if cur := s.Current[v.Replica]; cur == nil || !sameServing(cur, &v) {
				changed++
				if cur != nil {
					for id, nodes := range v.Segments {
						if old, ok := cur.Segments[id]; ok && !slices.Equal(old, nodes) {
							moved++
						}
					}
				}
			}
			s.Current[v.Replica] = &v
		}
	}
	return fmt.Sprintf("%d views changed, %d segments moved", changed, moved)
}

// TestPlaceProperties checks on random clusters what must hold of every plan.
func TestPlaceProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for round := range 200 {
		in := randomInput(r)
		wanted, problems := place(in)
		checkPlan(t, round, in, wanted, problems)
		applyPlan(&in, wanted)
		// A node that has no part yet may change its replica, so a plan may need a second look to settle, not more.
		again, _ := place(in)
		applyPlan(&in, again)
		if third, _ := place(in); changes(in, third) != 0 {
			t.Fatalf("round %d: the plan does not settle: planned a third time it changes %d views", round, changes(in, third))
		}
		before := len(in.Nodes)
		in.Nodes = append(in.Nodes, placeNode{ID: 999})
		more, problems := place(in)
		checkPlan(t, round, in, more, problems)
		if before >= 4 && movedShare(in, more) > 0.6 {
			t.Errorf("round %d: one node more than %d moves %.0f %% of the bytes", round, before, 100*movedShare(in, more))
		}
	}
}

func randomInput(r *rand.Rand) placeInput {
	in := placeInput{Slack: 0.05}
	for n := range 1 + r.IntN(8) {
		in.Nodes = append(in.Nodes, placeNode{ID: int64(10 + n), Draining: n > 0 && r.IntN(8) == 0})
	}
	id := int64(1000)
	for c := range 1 + r.IntN(5) {
		replicas := 1 + r.IntN(2)
		for s := range 1 + r.IntN(4) {
			shard := placeShard{Collection: int64(c + 1), Shard: s, Log: r.IntN(4), Replicas: replicas, From: r.Uint64N(100), Current: map[int]*catalog.View{}}
			for range r.IntN(12) {
				id++
				shard.Segments = append(shard.Segments, placeSegment{ID: id, Bytes: 1 + r.Int64N(1000)})
			}
			in.Shards = append(in.Shards, shard)
		}
	}
	return in
}

func checkPlan(t *testing.T, round int, in placeInput, wanted []catalog.View, problems []string) {
	t.Helper()
	draining := map[catalog.NodeID]bool{}
	for _, n := range in.Nodes {
		draining[n.ID] = n.Draining
	}
	views := map[viewID]*catalog.View{}
	replicaOf := map[replicaNode]int{}
	for i := range wanted {
		v := &wanted[i]
		views[idOf(v)] = v
		for _, n := range nodesOfView(v) {
			if d, live := draining[n]; !live || d {
				t.Fatalf("round %d: view %v uses node %d, which is gone or drains", round, idOf(v), n)
			}
			key := replicaNode{v.Collection, n}
			if r, ok := replicaOf[key]; ok && r != v.Replica {
				t.Fatalf("round %d: node %d serves replicas %d and %d of collection %d", round, n, r, v.Replica, v.Collection)
			}
			replicaOf[key] = v.Replica
		}
	}
	for _, s := range in.Shards {
		for r := range s.Replicas {
			v := views[viewID{s.Collection, s.Shard, r}]
			if v == nil {
				if len(problems) == 0 {
					t.Fatalf("round %d: shard %d/%d replica %d is not placed and no problem is told", round, s.Collection, s.Shard, r)
				}
				continue
			}
			if len(v.Segments) != len(s.Segments) || v.From < s.From {
				t.Fatalf("round %d: view %v has %d of %d segments, from %d of %d", round, idOf(v), len(v.Segments), len(s.Segments), v.From, s.From)
			}
		}
	}
}

func applyPlan(in *placeInput, wanted []catalog.View) {
	for i := range wanted {
		for k := range in.Shards {
			if in.Shards[k].Collection == wanted[i].Collection && in.Shards[k].Shard == wanted[i].Shard {
				in.Shards[k].Current[wanted[i].Replica] = &wanted[i]
			}
		}
	}
}

func changes(in placeInput, wanted []catalog.View) int {
	n := 0
	for i := range wanted {
		for _, s := range in.Shards {
			if s.Collection == wanted[i].Collection && s.Shard == wanted[i].Shard && !sameServing(s.Current[wanted[i].Replica], &wanted[i]) {
				n++
			}
		}
	}
	return n
}

func movedShare(in placeInput, wanted []catalog.View) float64 {
	var moved, all int64
	for i := range wanted {
		for _, s := range in.Shards {
			cur := s.Current[wanted[i].Replica]
			if s.Collection != wanted[i].Collection || s.Shard != wanted[i].Shard || cur == nil {
				continue
			}
			for _, seg := range s.Segments {
				all += seg.Bytes
				if !slices.Equal(cur.Segments[seg.ID], wanted[i].Segments[seg.ID]) {
					moved += seg.Bytes
				}
			}
		}
	}
	return float64(moved) / float64(max(all, 1))
}

func BenchmarkPlace(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	in := placeInput{Slack: 0.05}
	for n := range int64(50) {
		in.Nodes = append(in.Nodes, placeNode{ID: 10 + n})
	}
	for c := range int64(1000) {
		for s := range 2 {
			shard := placeShard{Collection: c + 1, Shard: s, Log: int(c+int64(s)) % 16, Replicas: 1, Current: map[int]*catalog.View{}}
			for k := range int64(50) {
				shard.Segments = append(shard.Segments, placeSegment{ID: 1_000_000 + c*1000 + int64(s)*100 + k, Bytes: 1 + r.Int64N(1<<30)})
			}
			in.Shards = append(in.Shards, shard)
		}
	}
	wanted, _ := place(in)
	applyPlan(&in, wanted)
	b.ResetTimer()
	for b.Loop() {
		place(in)
	}
}
