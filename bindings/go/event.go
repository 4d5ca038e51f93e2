// What happened, told to whoever asks: counters, and a channel of events. It knows nothing of what it reports.

package forebay

/*
#include "forebay.h"
*/
import "C"

import "context"

// Event is one thing that happened in this process.
type Event struct {
	// Kind says what: hit, stale_served, miss, refresh_started, refresh_succeeded, refresh_unchanged,
	// refresh_failed, coalesced, lease_lost, gated, invalidated, evicted, replayed, damaged.
	Kind EventKind
	// Key is the source's, tier/name, or the quota's.
	Key string
	// Code is the failure's, or 0.
	Code Code
	// Dropped counts the events before this one that were lost because nobody received them in time.
	Dropped uint64
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	EventHit              EventKind = "hit"
	EventStaleServed      EventKind = "stale_served"
	EventMiss             EventKind = "miss"
	EventRefreshStarted   EventKind = "refresh_started"
	EventRefreshSucceeded EventKind = "refresh_succeeded"
	EventRefreshUnchanged EventKind = "refresh_unchanged"
	EventRefreshFailed    EventKind = "refresh_failed"
	EventCoalesced        EventKind = "coalesced"
	EventLeaseLost        EventKind = "lease_lost"
	EventGated            EventKind = "gated"
	EventInvalidated      EventKind = "invalidated"
	EventEvicted          EventKind = "evicted"
	EventReplayed         EventKind = "replayed"
	EventDamaged          EventKind = "damaged"
)

var eventKinds = [...]EventKind{
	C.FOREBAY_EVENT_HIT:               EventHit,
	C.FOREBAY_EVENT_STALE_SERVED:      EventStaleServed,
	C.FOREBAY_EVENT_MISS:              EventMiss,
	C.FOREBAY_EVENT_REFRESH_STARTED:   EventRefreshStarted,
	C.FOREBAY_EVENT_REFRESH_SUCCEEDED: EventRefreshSucceeded,
	C.FOREBAY_EVENT_REFRESH_UNCHANGED: EventRefreshUnchanged,
	C.FOREBAY_EVENT_REFRESH_FAILED:    EventRefreshFailed,
	C.FOREBAY_EVENT_COALESCED:         EventCoalesced,
	C.FOREBAY_EVENT_LEASE_LOST:        EventLeaseLost,
	C.FOREBAY_EVENT_GATED:             EventGated,
	C.FOREBAY_EVENT_INVALIDATED:       EventInvalidated,
	C.FOREBAY_EVENT_EVICTED:           EventEvicted,
	C.FOREBAY_EVENT_REPLAYED:          EventReplayed,
	C.FOREBAY_EVENT_DAMAGED:           EventDamaged,
}

// Counters returns how often each kind of event has happened on this cache.
func (c *Cache) Counters() (map[EventKind]uint64, error) {
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	defer h.release()
	var counts [len(eventKinds)]C.uint64_t
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_counters(&counts[0], C.size_t(len(counts)), h.native, &failure)
	if err := failed(status, failure, nil); err != nil {
		return nil, err
	}
	out := make(map[EventKind]uint64, len(counts))
	for i, kind := range eventKinds {
		out[kind] = uint64(counts[i])
	}
	return out, nil
}

// eventRoom is how many events the channel of Subscribe holds; the library keeps some thousands behind it.
const eventRoom = 64

// Subscribe returns a channel of the events of this cache from now on. It is closed when ctx ends or the cache
// is closed. A slow receiver loses the oldest events: see [Event].
func (c *Cache) Subscribe(ctx context.Context) (<-chan Event, error) {
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	var events *C.forebay_events
	var failure *C.forebay_error
	gcPoint()
	if err := failed(C.forebay_subscribe(&events, h.native, &failure), failure, nil); err != nil {
		h.release()
		return nil, err
	}
	out := make(chan Event, eventRoom)
	go func() {
		defer h.release()
		defer C.forebay_events_free(events)
		defer close(out)
		h.forward(ctx, events, out)
	}()
	return out, nil
}

func (h *handle) forward(ctx context.Context, events *C.forebay_events, out chan<- Event) {
	var dropped uint64
	for {
		var event *C.forebay_event
		err := h.interruptible(ctx, func(
			timeout C.int64_t, i *C.forebay_interrupt, e **C.forebay_error,
		) C.forebay_status {
			return C.forebay_events_next(&event, events, timeout, i, e)
		})
		if event == nil {
			if err != nil || ctx.Err() != nil || h.ended.Err() != nil {
				return
			}
			continue
		}
		var size C.size_t
		next := Event{
			Kind: named(eventKinds[:], C.forebay_event_kind_of(event)),
			Key:  copied(sized(C.forebay_event_key(event, &size), &size)),
			Code: Code(C.forebay_event_code(event)),
		}
		C.forebay_event_free(event)
		lost := uint64(C.forebay_events_dropped(events))
		next.Dropped, dropped = lost-dropped, lost
		select {
		case out <- next:
		case <-ctx.Done():
			return
		case <-h.ended.Done():
			return
		}
	}
}
