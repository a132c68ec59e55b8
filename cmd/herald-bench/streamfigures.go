package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// samples is what was measured, for each key and engine round by round.
type samples map[string]map[string][]float64

func (s samples) add(key, engine string, value float64) {
	if s[key] == nil {
		s[key] = make(map[string][]float64)
	}
	s[key][engine] = append(s[key][engine], value)
}

// median of an engine's rounds.
func (s samples) median(key, engine string) float64 { return quantile(s[key][engine], 0.5) }

// ratio is ours over another engine's: the median of the rounds' ratios.
func (s samples) ratio(key, engine string) float64 {
	var ratios []float64
	for i, value := range s[key][ours] {
		ratios = append(ratios, value/s[key][engine][i])
	}
	return quantile(ratios, 0.5)
}

// quantity is something that was measured.
type quantity struct {
	key   string
	ratio string // the key of ours over the bare loop's; empty: none
	says  string
}

// quantities are all, in the order of the table.
func (p streamPlan) quantities() []quantity {
	n, few := p.connections, p.few
	return []quantity{
		{"connects_per_s", "", fmt.Sprintf("connections/s until each of %d has its first frame", n)},
		{"idle_bytes_per_conn", "", fmt.Sprintf("bytes of resident memory for each of %d idle connections", n)},
		{"idle_goroutines_per_conn", "", "goroutines for each"},
		{"fanout_cpu_us", "fanout_cpu_ratio", fmt.Sprintf("µs of the server's CPU a delivery, one event to all %d at a time", n)},
		{fmt.Sprintf("fanout_%d_cpu_us", few), fmt.Sprintf("fanout_%d_cpu_ratio", few), fmt.Sprintf("the same to %d", few)},
		{"fanout_per_s", "fanout_ratio", "deliveries/s"},
		{"fanout_latency_p50_ms", "", fmt.Sprintf("ms from the publication to a client, to all %d every %d ms", n, p.rest().Milliseconds())},
		{"fanout_latency_p99_ms", "", "the same, 99th percentile"},
		{"allocs_per_delivery", "", "allocations of the server's a delivery, at that rate"},
		{"one_to_one_per_s", "one_to_one_ratio", fmt.Sprintf("deliveries/s, 16 publishers, %d clients with a topic each", n)},
		{"one_to_one_cpu_us", "one_to_one_cpu_ratio", "µs of the server's CPU a delivery"},
		{"one_latency_p50_ms", "", "ms from the publication to the client, 1,000 events/s"},
		{"one_latency_p99_ms", "", "the same, 99th percentile"},
		{"burst_cpu_us", "burst_cpu_ratio", "µs of the server's CPU a delivery, 8 events to all at once"},
		{"burst_per_s", "burst_ratio", "deliveries/s"},
		{"resume_memory_ms", "", fmt.Sprintf("ms until a client has %d missed events, from the broker's memory", p.missed)},
		{"resume_log_ms", "", "the same from the log in Postgres, beside as many of others"},
		{"storm_s", "", fmt.Sprintf("s until %d clients with cursors are current after the node's restart", n)},
		{"storm_queries", "", "queries of the log for that, the node's start among them"},
		{"drain_s", "", fmt.Sprintf("s until a node with %d streams has ended, amid events to all", n)},
		{"drain_retry_spread_ms", "", "ms between the 5th and the 95th percentile of when they are to come back"},
		{"stalled_bytes_per_conn", "", fmt.Sprintf("bytes that each of %d clients who do not read holds at most", p.stalled)},
		{"stalled_user_bytes_per_conn", "", "of that, the server's memory"},
		{"stalled_kernel_bytes_per_conn", "", "of that, the kernel's"},
		{"calm_latency_p50_ms", "", fmt.Sprintf("ms from the publication to one of few clients, 200 events/s, beside %d idle connections", p.share(5))},
		{"calm_latency_p99_ms", "", "the same, 99th percentile"},
		{"calm_latency_max_ms", "", "the same, the longest"},
		{"hostile_latency_p50_ms", "", fmt.Sprintf("the same, beside %d more that never read, %d that read a byte a second, %d that send without end, and passers",
			p.share(10), p.share(20), p.share(50))},
		{"hostile_latency_p99_ms", "", "the same, 99th percentile"},
		{"hostile_latency_max_ms", "", "the same, the longest"},
		{"hostile_cost_ms", "", "ms that these add at the 99th percentile"},
		{"hostile_connects_per_s", "", "passers: connections/s that are opened and at once closed or reset"},
		{"hostile_goroutines_left", "", "goroutines of the server's when all these are gone, more than before"},
		{"hostile_descriptors_left", "", "the same, of descriptors"},
		{"hostile_memory_left_mib", "", "the same, of memory, the log's growth among it"},
	}
}

// figures are the medians under their keys, the others' with their names before
// them, and the ratios.
func (b *streamBench) figures() []figure {
	var figures []figure
	for _, q := range b.plan.quantities() {
		for _, engine := range []string{ours, bare, ordinary} {
			key := q.key
			if engine != ours {
				key = engine + "_" + key
			}
			if len(b.taken[q.key][engine]) > 0 {
				figures = append(figures, figure{key, b.taken.median(q.key, engine), q.says})
			}
		}
		if q.ratio != "" && len(b.taken[q.key]) > 0 {
			figures = append(figures, figure{q.ratio, b.taken.ratio(q.key, bare), "of the bare loop's"})
		}
	}
	return figures
}

// table prints the medians side by side.
func (b *streamBench) table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "medians\tHerald\tbare loop\tordinary handler\tHerald/bare\trounds\n")
	for _, q := range b.plan.quantities() {
		taken := b.taken[q.key]
		if len(taken) == 0 {
			continue
		}
		cells := []string{q.key}
		for _, engine := range []string{ours, bare, ordinary} {
			cell := ""
			if len(taken[engine]) > 0 {
				cell = fmt.Sprintf("%.2f", b.taken.median(q.key, engine))
			}
			cells = append(cells, cell)
		}
		ratio := ""
		if q.ratio != "" {
			ratio = fmt.Sprintf("%.2f", b.taken.ratio(q.key, bare))
		}
		cells = append(cells, ratio, strconv.Itoa(len(taken[ours])), q.says)
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}
