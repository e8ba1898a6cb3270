package woodpecker

import (
	"fmt"
	"testing"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
)

func BenchmarkAppend(b *testing.B) {
	for name, open := range map[string]func() (mq.Queue, error){
		"local": func() (mq.Queue, error) { return OpenLocal(LocalConfig{Dir: b.TempDir()}, LocalDeps{}) },
		"s3-mem": func() (mq.Queue, error) {
			return NewBucket(BucketConfig{}, BucketDeps{Store: mem.New()})
		},
	} {
		for _, size := range []int{4 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				q, err := open()
				if err != nil {
					b.Fatal(err)
				}
				defer q.Close()
				if err := q.Create(b.Context(), testID); err != nil {
					b.Fatal(err)
				}
				l, err := q.Open(b.Context(), testID, 0)
				if err != nil {
					b.Fatal(err)
				}
				data := make([]byte, size)
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, err := l.Append(b.Context(), data, mq.AppendOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
