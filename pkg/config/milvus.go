package config

import (
	"fmt"
	"strings"
)

// promises are keys of milvus.yaml that promise safety which Gyr does not give yet. Leaving them without effect would
// be a silently open door, so any value but the harmless one stops the start.
var promises = []struct{ key, harmless, feature string }{
	{"common.security.authorizationEnabled", "false", "authentication"},
	{"common.security.tlsMode", "0", "TLS"},
	{"proxy.accessLog.enable", "false", "the access log"},
	{"quotaAndLimits.dml.enabled", "false", "write quotas"},
	{"quotaAndLimits.dql.enabled", "false", "read quotas"},
	{"quotaAndLimits.limitWriting.forceDeny", "false", "denying writes"},
	{"quotaAndLimits.limitReading.forceDeny", "false", "denying reads"},
	{"cipherPlugin.enable", "false", "encryption at rest"},
}

// milvusSections are the top-level sections of milvus.yaml. Other keys in them have no effect here.
var milvusSections = []string{
	"autoIndex", "builtinRoles", "cipherPlugin", "common", "credential", "dataCoord", "dataNode", "deleteBufferBytes",
	"etcd", "function", "gpu", "grpc", "hookConfig", "indexCoord", "indexNode", "internaltls", "kafka", "knowhere",
	"localStorage", "log", "messageQueue", "metastore", "minio", "mixCoord", "mq", "msgChannel", "natsmq", "proxy",
	"pulsar", "queryCoord", "queryNode", "quotaAndLimits", "rocksmq", "rootCoord", "streaming", "streamingCoord",
	"streamingNode", "tikv", "tls", "trace", "user", "woodpecker",
}

// judgeMilvusKey decides over a key that the Set does not know: a notice when it is milvus.yaml's and without effect,
// an error when it promises safety or is nobody's key.
func judgeMilvusKey(key, value string) (notice string, err error) {
	for _, p := range promises {
		if strings.EqualFold(key, p.key) {
			if strings.EqualFold(value, p.harmless) {
				return "", nil
			}
			return "", fmt.Errorf("%s is not built yet, so %q cannot be honoured; set it to %s to start without", p.feature, value, p.harmless)
		}
	}
	section, _, _ := strings.Cut(key, ".")
	for _, s := range milvusSections {
		if strings.EqualFold(section, s) {
			return "known from milvus.yaml, has no effect in Gyr", nil
		}
	}
	return "", fmt.Errorf("unknown key; see --help for the settings")
}
