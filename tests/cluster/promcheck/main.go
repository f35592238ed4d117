// Asks Prometheus' own parser and query engine about expressions of dashboards and about alert rules. For the tests of
// both (tests/observability), which compile it once.
//
//	promcheck expressions < LINES           prints those that Prometheus cannot parse
//	promcheck rules FILE...                 prints what Prometheus finds wrong with files of rules
//	promcheck alerts FILE MINUTES < SERIES  prints which alerts fire, minute by minute, as lines of JSON
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run(words []string, in io.Reader) error {
	switch {
	case len(words) == 1 && words[0] == "expressions":
		return checkExpressions(in)
	case len(words) > 1 && words[0] == "rules":
		_, err := rulesOf(words[1:]...)
		return err
	case len(words) == 3 && words[0] == "alerts":
		return printAlerts(words[1], words[2], in)
	}
	return fmt.Errorf("cannot do %q", words)
}

func checkExpressions(in io.Reader) error {
	bad := 0
	err := eachLine(in, func(line string) error {
		if _, err := parser.ParseExpr(line); err != nil {
			bad++
			fmt.Printf("%s\n  %v\n", line, err)
		}
		return nil
	})
	if err == nil && bad > 0 {
		err = fmt.Errorf("%d cannot be parsed", bad)
	}
	return err
}

// The rules of these files. Expressions and the templates of annotations are parsed, too.
func rulesOf(files ...string) ([]rulefmt.Rule, error) {
	var rules []rulefmt.Rule
	for _, file := range files {
		found, errs := rulefmt.ParseFile(file, false)
		if len(errs) > 0 {
			return nil, fmt.Errorf("%v", errs)
		}
		for _, group := range found.Groups {
			rules = append(rules, group.Rules...)
		}
	}
	return rules, nil
}

func printAlerts(file, until string, in io.Reader) error {
	rules, err := rulesOf(file)
	if err != nil {
		return err
	}
	minutes, err := strconv.Atoi(until)
	if err != nil {
		return err
	}
	known, err := readSeries(in)
	if err != nil {
		return err
	}
	for _, rule := range rules {
		if err := follow(rule, known, minutes); err != nil {
			return fmt.Errorf("%s: %w", rule.Alert, err)
		}
	}
	return nil
}

func eachLine(in io.Reader, do func(string) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := do(lines.Text()); err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
	}
	return lines.Err()
}
