// Command gyr-ctl asks a Gyr cluster how it is.
package main

import (
	"os"

	"github.com/gyr-db/gyr/services/coordinator"
	"github.com/gyr-db/gyr/services/ctl"
	"github.com/gyr-db/gyr/services/datanode"
	"github.com/gyr-db/gyr/services/indexnode"
	"github.com/gyr-db/gyr/services/process"
	"github.com/gyr-db/gyr/services/querynode"
	"github.com/gyr-db/gyr/services/standalone"
)

func main() {
	coord, data, query, index := coordinator.DefaultConfig(), datanode.DefaultConfig(), querynode.DefaultConfig(), indexnode.DefaultConfig()
	roles := []process.Role{
		standalone.Role(),
		{Name: "gyr-proxy", Public: true, Defaults: process.ServesAPI},
		{Name: "gyr-coordinator", Register: coord.Register},
		{Name: "gyr-datanode", Register: data.Register},
		{Name: "gyr-querynode", Register: query.Register},
		{Name: "gyr-indexnode", Register: index.Register},
	}
	os.Exit(ctl.Main(os.Args[1:], os.Stdout, os.Stderr, ctl.RoleSettings(roles, os.Environ())))
}
