package failover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// diskMB is the size of the disk that fills up: etcd alone takes 128 MB of it in advance.
const diskMB = 400

// TestStandaloneOnFullDisk: when the disk is full writes get code 7, reads go on, the process lives; within 10 s of space
// being freed writes are accepted again; nothing acknowledged is lost, then or after a restart. It needs root, since it
// mounts a disk of its own.
func TestStandaloneOnFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=400m"); err != nil {
		t.Fatalf("this test mounts a small tmpfs on a folder of its own and must run as root: mount: %v", err)
	}
	t.Cleanup(func() { // runs after the process's end, which is registered later
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", disk, err)
		}
	})
	st := harness.StartStandalone(t, filepath.Join(disk, "data"))
	c, err := client.Dial(st.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	d := &diskTest{c: c, acked: map[int64]bool{}}
	if err := c.Create(ctx, client.Spec{Name: "disk", Dim: diskDim, Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := d.insert(ctx); err != nil {
			t.Fatalf("before the disk is full: %v", err)
		}
	}
	ballast := filepath.Join(disk, "ballast")
	fill(t, disk, ballast, 12<<20)
	d.untilFull(ctx, t)
	d.readsGoOn(ctx, t, lasts(3*time.Second, 20*time.Second))
	if st.Ended() {
		t.Fatalf("the process has ended on a full disk:\n%s", st.Output())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	for {
		if err = d.insert(ctx); err == nil {
			break
		}
		if time.Since(freed) > 10*time.Second {
			t.Fatalf("10 s after space was freed writes still fail: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("writes are accepted %s after space was freed", ms(time.Since(freed)))
	d.check(ctx, t)
	st.Kill()
	st.Restart(t)
	d.check(ctx, t)
}

// fill leaves some bytes of a disk free.
func fill(t *testing.T, disk, ballast string, leave uint64) {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(disk, &fs); err != nil {
		t.Fatal(err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free < leave {
		t.Fatalf("only %d MB of the disk's %d MB are free", free>>20, diskMB)
	}
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(free-leave)); err != nil {
		t.Fatalf("fill the disk: %v", err)
	}
	t.Logf("%d MB of %d MB are left free", leave>>20, diskMB)
}

const (
	diskDim  = 256
	diskRows = 500 // half a MB in a batch
)

// diskTest inserts batches of new keys.
type diskTest struct {
	c     *client.Client
	next  int64
	acked map[int64]bool // by first key of a batch
}

func (d *diskTest) insert(ctx context.Context) error {
	rows := make([]client.Row, diskRows)
	for i := range rows {
		v := make([]float32, diskDim)
		v[i%diskDim], v[0] = 1, float32(d.next)
		rows[i] = client.Row{Key: d.next + int64(i), Version: 1, Vector: v}
	}
	first := d.next
	d.next += diskRows
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	err := d.c.InsertRows(ctx, "disk", rows)
	if err == nil {
		d.acked[first] = true
	}
	return err
}

// untilFull inserts until the disk is full and expects code 7 then.
func (d *diskTest) untilFull(ctx context.Context, t *testing.T) {
	t.Helper()
	for n := 0; ; n++ {
		begin := time.Now()
		err := d.insert(ctx)
		var no client.StatusError
		switch {
		case err == nil && n > 400:
			t.Fatalf("%d batches of half a MB fit on a full disk", n)
		case err == nil:
			continue
		case !errors.As(err, &no) || no.Code != 7:
			t.Fatalf("batch %d on a full disk, after %s: %v; want code 7", n, ms(time.Since(begin)), err)
		}
		t.Logf("batch %d is refused after %s: %v", n, ms(time.Since(begin)), err)
		return
	}
}

// readsGoOn: for a while every search and every count succeeds within 2 s, and no write gets another answer than
// success or code 7.
func (d *diskTest) readsGoOn(ctx context.Context, t *testing.T, span time.Duration) {
	t.Helper()
	q := make([]float32, diskDim)
	longest := time.Duration(0)
	reads, refused := 0, 0
	for begin := time.Now(); time.Since(begin) < span; {
		at := time.Now()
		call, cancel := context.WithTimeout(ctx, Deadline)
		keys, err := d.c.SearchKeys(call, "disk", [][]float32{q}, 10, commonpb.ConsistencyLevel_Strong)
		if err == nil && len(keys[0]) != 10 {
			t.Errorf("a search on a full disk has %d hits", len(keys[0]))
		}
		if err == nil {
			_, err = d.c.Count(call, "disk")
		}
		cancel()
		longest = max(longest, time.Since(at))
		if err != nil {
			t.Errorf("a read on a full disk: %v", err)
			return
		}
		reads++
		var no client.StatusError
		if err := d.insert(ctx); errors.As(err, &no) && no.Code == 7 {
			refused++
		} else if err != nil {
			t.Errorf("a write on a full disk: %v; want code 7", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("on the full disk %d searches and counts succeed, the longest pair in %s; %d writes are refused", reads, ms(longest), refused)
	if longest > 2*time.Second {
		t.Errorf("a search and a count took %s", ms(longest))
	}
	d.unhealthy(ctx, t)
}

// unhealthy: CheckHealth names the full disk, within a few looks of the coordinator.
func (d *diskTest) unhealthy(ctx context.Context, t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		r, err := d.c.CheckHealth(ctx, &milvuspb.CheckHealthRequest{})
		if err := client.Check(r.GetStatus(), err); err == nil && !r.IsHealthy && strings.Contains(strings.Join(r.Reasons, "\n"), " % full") {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Errorf("CheckHealth on a full disk: healthy %v, reasons %q, %v", r.GetIsHealthy(), r.GetReasons(), err)
			return
		}
	}
}

// check: every acknowledged batch is there as a whole, no key twice. It is answered within 15 s.
func (d *diskTest) check(ctx context.Context, t *testing.T) {
	t.Helper()
	var rows []client.Row
	var err error
	for begin := time.Now(); time.Since(begin) < 15*time.Second; time.Sleep(50 * time.Millisecond) {
		if rows, err = d.c.QueryRows(ctx, "disk", "key >= 0", 0); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	batches := map[int64]int{}
	seen := map[int64]bool{}
	for _, r := range rows {
		if seen[r.Key] {
			t.Fatalf("key %d is there twice", r.Key)
		}
		seen[r.Key] = true
		batches[r.Key/diskRows*diskRows]++
	}
	for first := range d.acked {
		if batches[first] != diskRows {
			t.Fatalf("%d of %d rows of the acknowledged batch at key %d are there", batches[first], diskRows, first)
		}
	}
	t.Logf("%d rows are there, %d batches were acknowledged", len(rows), len(d.acked))
}
