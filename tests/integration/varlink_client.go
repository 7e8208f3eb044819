// SPDX-License-Identifier: Apache-2.0

// varlink_client.go - asks berthd with a Varlink library of somebody else
//
// Prints a JSON object a line: what it learned, and then each event that
// Monitor tells it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/varlink/go/varlink"
	"github.com/varlink/go/varlink/idl"
)

const berth = "io.berth"

type object = map[string]interface{}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func say(what object) {
	must(json.NewEncoder(os.Stdout).Encode(what))
}

// The description is a text that the library's own parser takes.
func describe(ctx context.Context, conn *varlink.Connection) {
	var vendor, product, version, url string
	var interfaces []string

	must(conn.GetInfo(ctx, &vendor, &product, &version, &url, &interfaces))
	text, err := conn.GetInterfaceDescription(ctx, berth)
	must(err)
	parsed, err := idl.New(text)
	must(err)
	methods := []string{}
	for _, method := range parsed.Methods {
		methods = append(methods, method.Name)
	}
	say(object{"product": product, "interfaces": interfaces,
		"name": parsed.Name, "methods": methods})
}

// Calls with "more", and hands over each reply until the last one.
func more(ctx context.Context, conn *varlink.Connection, method string,
	parameters object, reply func(object)) error {
	receive, err := conn.Send(ctx, berth+"."+method, parameters,
		varlink.More)
	must(err)
	for {
		var parameters object

		flags, err := receive(ctx, &parameters)
		if err != nil {
			return err
		}
		reply(parameters)
		if flags&varlink.Continues == 0 {
			return nil
		}
	}
}

func list(ctx context.Context, conn *varlink.Connection) {
	names := []string{}

	must(more(ctx, conn, "ListNamespaces", object{}, func(reply object) {
		for _, netns := range reply["namespaces"].([]interface{}) {
			for _, name := range netns.(object)["names"].([]interface{}) {
				names = append(names,
					name.(object)["name"].(string))
			}
		}
	}))
	say(object{"names": names})
}

func main() {
	ctx := context.Background()
	conn, err := varlink.NewConnection(ctx, "unix:"+os.Args[1])
	must(err)
	describe(ctx, conn)
	var status object
	must(conn.Call(ctx, berth+".GetStatus", nil, &status))
	say(object{"settled": status["settled"]})
	// An error of the interface has its name.
	err = conn.Call(ctx, berth+".Explain", object{"namespace": "nosuch"},
		&status)
	say(object{"error": err.Error()})
	list(ctx, conn)
	must(more(ctx, conn, "Monitor", object{"kinds": []string{"namespace"}},
		func(reply object) { say(reply) }))
}
