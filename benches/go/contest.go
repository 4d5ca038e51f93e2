// contest: contestants timed in turn. It knows nothing of what they read.

package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"time"
)

// contest times contestants in turn, as series.rs does it: a batch each per round, in changing order, sized to
// take equally long.
type contest struct {
	group       string
	rounds      int
	aim         time.Duration
	contestants []*contestant
}

type contestant struct {
	name  string
	get   func(at int) ([]byte, bool, error)
	calls int
	nanos []float64
}

func (c *contest) add(name string, get func(at int) ([]byte, bool, error)) {
	c.contestants = append(c.contestants, &contestant{name: name, get: get})
}

func (c *contest) run(f *fixture) error {
	series := map[string][]float64{}
	for _, one := range c.contestants {
		if err := f.verify(one.name, one.get); err != nil {
			return err
		}
		if err := one.calibrate(f, c.aim); err != nil {
			return err
		}
	}
	random := rand.New(rand.NewSource(1))
	for round := 0; round < c.rounds; round++ {
		random.Shuffle(len(c.contestants), func(i, j int) {
			c.contestants[i], c.contestants[j] = c.contestants[j], c.contestants[i]
		})
		for _, one := range c.contestants {
			took, err := one.batch(f)
			if err != nil {
				return err
			}
			one.nanos = append(one.nanos, float64(took.Nanoseconds())/float64(one.calls))
		}
	}
	for _, one := range c.contestants {
		series[one.name] = one.nanos
	}
	line := map[string]any{"kind": "series", "group": c.group, "unit": "ns", "series": series}
	return json.NewEncoder(os.Stdout).Encode(line)
}

// calibrate doubles the batch until it takes about as long as asked; this is the warm-up too.
func (c *contestant) calibrate(f *fixture, aim time.Duration) error {
	c.calls = len(f.order)
	for {
		took, err := c.batch(f)
		if err != nil {
			return err
		}
		if took*2 > aim {
			return nil
		}
		c.calls *= int(max(2, min(16, aim/max(took, 1))))
	}
}

// batch makes the calls, in passes over the shuffled keys, and checks the lengths of what they returned.
func (c *contestant) batch(f *fixture) (time.Duration, error) {
	difference := 0
	start := time.Now()
	for left := c.calls; left > 0; left -= len(f.order) {
		for _, at := range f.order {
			data, fresh, err := c.get(at)
			if err != nil || !fresh {
				return 0, fmt.Errorf("%s: fresh %t, %w", c.name, fresh, err)
			}
			difference |= len(data) ^ len(f.values[at])
		}
	}
	took := time.Since(start)
	if difference != 0 {
		return 0, fmt.Errorf("%s served values of a wrong length", c.name)
	}
	return took, nil
}
