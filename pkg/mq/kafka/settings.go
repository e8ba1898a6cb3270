package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// How long a topic that should be there may be unknown to a broker: one that was just made here, and one that another
// process may have just made.
const (
	patienceCreate = 10 * time.Second
	patienceOpen   = time.Second
)

// recordOverhead bounds what a record needs beside its data: our header, the key, and the broker's batch.
const recordOverhead = 1 << 10

// settings are those of a topic that keep its entries safe.
func (t *topic) settings(minInSync int) map[string]string {
	return map[string]string{
		"cleanup.policy":                 "delete",
		"retention.ms":                   "-1",
		"retention.bytes":                "-1",
		"unclean.leader.election.enable": "false",
		"max.message.bytes":              strconv.Itoa(t.cfg.PartBytes + recordOverhead),
		"min.insync.replicas":            strconv.Itoa(minInSync),
	}
}

// create makes the topic; one that is there is no error.
func (t *topic) create(ctx context.Context) error {
	replicas := t.cfg.Replicas
	if replicas == 0 {
		err := retry(ctx, t.cfg.RequestTimeout, func() error {
			m, err := t.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{t.name}})
			if err != nil {
				return fmt.Errorf("ask for the brokers: %w", err)
			}
			replicas = max(1, min(3, len(m.Brokers)))
			return nil
		})
		if err != nil {
			return err
		}
	}
	entries := []kafkago.ConfigEntry{}
	for name, value := range t.settings(t.inSync(replicas)) {
		entries = append(entries, kafkago.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	return retry(ctx, t.cfg.RequestTimeout, func() error {
		res, err := t.client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{
			Topic: t.name, NumPartitions: 1, ReplicationFactor: replicas, ConfigEntries: entries,
		}}})
		if err == nil {
			err = res.Errors[t.name]
		}
		if err == nil || errors.Is(err, kafkago.TopicAlreadyExists) {
			return nil
		}
		return fmt.Errorf("create topic %s: %w", t.name, err)
	})
}

// whileMissing calls fn until the topic is known, or patience ends.
func whileMissing(ctx context.Context, patience time.Duration, fn func() error) error {
	end := time.Now().Add(patience)
	for {
		if err := fn(); !isMissing(err) || time.Now().After(end) || sleep(ctx, pauseMin) != nil {
			return err
		}
	}
}

func (t *topic) inSync(replicas int) int {
	if t.cfg.MinInSync > 0 {
		return t.cfg.MinInSync
	}
	return max(1, replicas-1)
}

// verify checks that the topic is there and that no setting of it could lose entries. It asks a broker, not the client's
// memory, and never makes the topic.
//
// Brokers learn of a new topic one after the other: that it is missing counts when it has been so for a while.
func (t *topic) verify(ctx context.Context, patience time.Duration) error {
	var found map[string]string
	err := whileMissing(ctx, patience, func() (err error) {
		found, err = t.describe(ctx)
		return err
	})
	if err != nil {
		return err
	}
	replicas, err := t.replicas(ctx)
	if err != nil {
		return err
	}
	for name, want := range t.settings(t.inSync(replicas)) {
		got := found[name]
		if got == want || mayBeGreater(name) && number(got) >= number(want) {
			continue
		}
		return fmt.Errorf("topic %s has the setting %s=%s, which must be %s: entries could be lost; set it with kafka-configs --alter and start again", t.name, name, got, want)
	}
	return nil
}

// mayBeGreater says that a setting is a lower bound.
func mayBeGreater(name string) bool {
	return name == "max.message.bytes" || name == "min.insync.replicas"
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// describe returns the topic's settings.
func (t *topic) describe(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	err := retry(ctx, t.cfg.RequestTimeout, func() error {
		res, err := t.client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
			Resources: []kafkago.DescribeConfigRequestResource{{ResourceType: kafkago.ResourceTypeTopic, ResourceName: t.name}},
		})
		if err != nil {
			return err
		}
		for _, r := range res.Resources {
			if r.Error != nil {
				return r.Error
			}
			for _, e := range r.ConfigEntries {
				found[e.ConfigName] = e.ConfigValue
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("describe topic %s: %w", t.name, err)
	}
	return found, nil
}

// replicas returns the number of replicas of the topic's only partition. A topic that has just been made may not be
// known to the client yet.
func (t *topic) replicas(ctx context.Context) (int, error) {
	n := 0
	err := retry(ctx, 5*t.cfg.MetadataTTL, func() error {
		m, err := t.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{t.name}})
		if err != nil {
			return err
		}
		if len(m.Topics) != 1 || m.Topics[0].Error != nil || len(m.Topics[0].Partitions) == 0 {
			return fmt.Errorf("%w: topic %s", errNoRoute, t.name)
		}
		if got := len(m.Topics[0].Partitions); got != 1 {
			return fmt.Errorf("topic %s has %d partitions, a log has one", t.name, got)
		}
		n = len(m.Topics[0].Partitions[0].Replicas)
		return nil
	})
	return n, err
}

// remove deletes the topic and waits until the broker has forgotten it.
func (t *topic) remove(ctx context.Context) error {
	res, err := t.client.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{t.name}})
	if err == nil {
		err = res.Errors[t.name]
	}
	if err != nil && !isMissing(err) {
		return fmt.Errorf("delete topic %s: %w", t.name, err)
	}
	for {
		if _, err := t.describe(ctx); err != nil {
			if isMissing(err) {
				return nil
			}
			return err
		}
		if err := sleep(ctx, pauseMin); err != nil {
			return err
		}
	}
}
