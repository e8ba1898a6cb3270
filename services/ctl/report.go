package ctl

// Report is the coordinator's account of the cluster, as far as gyr-ctl shows it.
type Report struct {
	Cluster     *Cluster          `json:"cluster"`
	Leader      *Node             `json:"leader"`
	Nodes       map[string][]Node `json:"nodes"`
	Logs        []Log             `json:"logs"`
	Collections []Collection      `json:"collections"`
	Tasks       []Task            `json:"tasks"`
	Copy        *Copy             `json:"copy"`
	Problems    []string          `json:"problems"`
}

// Copy is the newest copy of the catalog in object storage.
type Copy struct {
	Revision int64 `json:"revision"`
	AtMS     int64 `json:"at_ms"`
}

// Cluster identifies the cluster.
type Cluster struct {
	UUID string `json:"uuid"`
	Logs int    `json:"logs"`
}

// Node is a live process.
type Node struct {
	ID       int64  `json:"id"`
	Addr     string `json:"addr"`
	Version  string `json:"version"`
	Started  int64  `json:"started"`
	Draining bool   `json:"draining"`
	Logs     []int  `json:"logs"`
	Leads    int    `json:"leads"`
	Segments int    `json:"segments"`
	Bytes    int64  `json:"bytes"`
}

// Log is one log.
type Log struct {
	Number     int    `json:"number"`
	URL        string `json:"url"`
	Owner      *int64 `json:"owner"`
	Epoch      uint64 `json:"epoch"`
	Checkpoint uint64 `json:"checkpoint"`
	Truncated  uint64 `json:"truncated"`
	Shards     int    `json:"shards"`
}

// Collection is one collection.
type Collection struct {
	DB       string  `json:"db"`
	Name     string  `json:"name"`
	State    string  `json:"state"`
	Loaded   bool    `json:"loaded"`
	Progress int     `json:"progress"`
	Shards   []Shard `json:"shards"`
}

// Shard is one shard.
type Shard struct {
	Index      int    `json:"index"`
	Log        int    `json:"log"`
	Checkpoint uint64 `json:"checkpoint"`
	Segments   int    `json:"segments"`
	Rows       int    `json:"rows"`
	Bytes      int64  `json:"bytes"`
	Unindexed  int    `json:"unindexed"`
	Views      []View `json:"views"`
}

// View is a published view.
type View struct {
	Replica int    `json:"replica"`
	Number  uint64 `json:"number"`
	Leader  int64  `json:"leader"`
}

// Task is an open task.
type Task struct {
	ID       int64   `json:"id"`
	Kind     string  `json:"kind"`
	State    string  `json:"state"`
	Attempt  int64   `json:"attempt"`
	Progress float32 `json:"progress"`
	Failures int     `json:"failures"`
	Error    string  `json:"error"`
}
