package kafka

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Config says where the brokers are, and how topics are made.
type Config struct {
	// Brokers are host:port addresses to begin with.
	Brokers []string
	// Prefix begins the names of topics.
	Prefix string
	// Replicas of a new topic; 0 means 3, or the number of brokers when that is less.
	Replicas int
	// MinInSync is the number of replicas that must have an entry before it is acknowledged; 0 means one less than the
	// topic has, but at least 1.
	MinInSync int
	// PartBytes is the size of an entry's parts; 0 means 900 KiB.
	PartBytes int
	// MaxEntryBytes bounds one entry; 0 means 256 MiB.
	MaxEntryBytes int64
	// RequestTimeout bounds one request; 0 means 30 s.
	RequestTimeout time.Duration
	// MetadataTTL bounds the age of what is known about a topic's leader; 0 means 2 s.
	MetadataTTL time.Duration
}

// Deps are what the queue works with.
type Deps struct {
	Logger *slog.Logger // nil: no log
}

func (c Config) withDefaults() Config {
	if c.PartBytes == 0 {
		c.PartBytes = 900 << 10
	}
	if c.MaxEntryBytes == 0 {
		c.MaxEntryBytes = 256 << 20
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 30 * time.Second
	}
	if c.MetadataTTL == 0 {
		c.MetadataTTL = 2 * time.Second
	}
	return c
}

// legal is what Kafka takes as the name of a topic.
var legal = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// maxTopic bounds the name of a topic.
const maxTopic = 249

// Validate checks the values.
func (c Config) Validate() error {
	c = c.withDefaults()
	if len(c.Brokers) == 0 {
		return fmt.Errorf("kafka: there are no brokers")
	}
	for _, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || host == "" || n < 1 || n > 65535 {
			return fmt.Errorf("kafka: broker %q is not host:port", b)
		}
	}
	switch {
	case !legal.MatchString(c.Prefix) || len(c.Prefix) > 100:
		return fmt.Errorf("kafka: prefix %q: 1 to 100 letters, digits, dots, hyphens and underscores can be had", c.Prefix)
	case c.Replicas < 0 || c.Replicas > 100 || c.MinInSync < 0 || c.Replicas > 0 && c.MinInSync > c.Replicas:
		return fmt.Errorf("kafka: %d replicas, %d in sync: not to be had", c.Replicas, c.MinInSync)
	case c.PartBytes < 1 || c.PartBytes > 16<<20:
		return fmt.Errorf("kafka: parts of %d bytes, 1 byte to 16 MiB can be had", c.PartBytes)
	case c.MaxEntryBytes < 1 || c.MaxEntryBytes > 1<<30:
		return fmt.Errorf("kafka: entries of %d bytes, 1 byte to 1 GiB can be had", c.MaxEntryBytes)
	case c.RequestTimeout < 0 || c.MetadataTTL < 0:
		return fmt.Errorf("kafka: a time is negative")
	}
	return nil
}

// ParseURL reads kafka://host:port[,host:port]/prefix[?replicas=N&min_insync=N].
func ParseURL(rawURL string) (Config, error) {
	rest, ok := strings.CutPrefix(rawURL, "kafka://")
	if !ok {
		return Config{}, fmt.Errorf("kafka: %q is not kafka://host:port[,host:port]/prefix", rawURL)
	}
	rest, options, _ := strings.Cut(rest, "?")
	brokers, prefix, _ := strings.Cut(rest, "/")
	c := Config{Prefix: strings.TrimSuffix(prefix, "/")}
	if brokers != "" {
		c.Brokers = strings.Split(brokers, ",")
	}
	query, err := url.ParseQuery(options)
	if err != nil {
		return Config{}, fmt.Errorf("kafka: options of %q: %w", rawURL, err)
	}
	for name := range query {
		n, err := strconv.Atoi(query.Get(name))
		switch {
		case name != "replicas" && name != "min_insync":
			return Config{}, fmt.Errorf("kafka: the option %q is unknown; there are replicas and min_insync", name)
		case err != nil || n < 1:
			return Config{}, fmt.Errorf("kafka: the option %s=%s is no number above 0", name, query.Get(name))
		case name == "replicas":
			c.Replicas = n
		default:
			c.MinInSync = n
		}
	}
	return c, c.Validate()
}
