// The stage of the runner in vectors_test.go: the caches and their clock, the files below the root, other processes.

package forebay_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

type actor struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func newStage(program string, defaults, quota object) *stage {
	dir, err := os.MkdirTemp("", "forebay-go-vectors-")
	try(err)
	s := &stage{
		dir: dir, root: filepath.Join(dir, "root"), program: program, defaults: defaults, quota: quota,
		now: time.Unix(1_700_000_000, 0), boot: 1000 * time.Second,
		credentials: map[string]*forebay.Credentials{},
		caches:      map[string]*forebay.Cache{}, readers: map[string]*forebay.Reader{}, tickets: map[string]*forebay.Ticket{},
		actors: map[string]*actor{}, running: map[string]chan func() object{},
		saved: map[string]forebay.Version{}, holds: map[string]*held{},
	}
	s.advance(0, 0)
	try(s.open("a", ""))
	return s
}

func (s *stage) open(name string, durability forebay.Durability) error {
	cache, err := forebay.Open(forebay.Options{
		Root: s.root, TestClock: filepath.Join(s.dir, "clock"), Durability: durability,
	})
	if err == nil {
		s.caches[name] = cache
	}
	return err
}

func (s *stage) advance(both, wall time.Duration) {
	s.now, s.boot = s.now.Add(both+wall), s.boot+both
	try(writeJSON(filepath.Join(s.dir, "clock"), object{
		"wall_ns": strconv.FormatInt(s.now.UnixNano(), 10), "boot_ns": strconv.FormatInt(int64(s.boot), 10),
	}))
}

// end lets whatever still waits go on, and ends everything.
func (s *stage) end() {
	for _, hold := range s.holds {
		hold.release()
	}
	for _, ticket := range s.tickets {
		ticket.Close()
	}
	for _, reader := range s.readers {
		reader.Close()
	}
	for _, actor := range s.actors {
		actor.kill()
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, cache := range s.caches {
		try(cache.Shutdown(ctx))
	}
	for _, creds := range s.credentials {
		try(creds.Close())
	}
	try(os.RemoveAll(s.dir))
}

func (s *stage) prepareActor(op string, f object) func() object {
	name := need[string](f, "actor")
	switch op {
	case "actor":
		args := []string{"--root", s.root, "--clock", filepath.Join(s.dir, "clock")}
		for _, arg := range need[[]any](f, "args") {
			args = append(args, arg.(string))
		}
		return func() object {
			started := &actor{Cmd: exec.Command(s.program, args...)}
			in, err := started.StdinPipe()
			try(err)
			out, err := started.StdoutPipe()
			try(err)
			try(started.Start())
			started.in, started.out = in, bufio.NewReader(out)
			s.actors[name] = started
			return started.answer()
		}
	case "tell":
		line := need[string](f, "line")
		return func() object {
			_, err := fmt.Fprintln(s.actors[name].in, line)
			try(err)
			return s.actors[name].answer()
		}
	}
	return func() object {
		s.actors[name].kill()
		delete(s.actors, name)
		return nothing()
	}
}

func (a *actor) answer() object {
	line, err := a.out.ReadBytes('\n')
	try(err)
	var answer object
	try(json.Unmarshal(line, &answer))
	return object{"json": answer}
}

func (a *actor) kill() {
	_ = a.Process.Kill() // it may have ended by itself
	_ = a.Wait()
}

// walk is all files below the root but those that no fact of a source is in.
func walk(root string) []any {
	out := []any{}
	try(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case name == ".forebay":
			return fs.SkipDir
		case name != "CACHEDIR.TAG" && !entry.IsDir():
			out = append(out, name)
		}
		return nil
	}))
	return out
}

// below takes the root that a step's paths are below.
func (s *stage) below(f object) string {
	switch in := take[string](f, "in"); in {
	case "":
		return s.root
	case "state":
		return filepath.Join(s.dir, in)
	default:
		breaks("there is no root %q", in)
		return ""
	}
}

func (s *stage) prepareFile(op string, f object) func() object {
	path := filepath.Join(s.below(f), need[string](f, "path"))
	var change func() error
	switch op {
	case "file":
		return func() object {
			data, err := os.ReadFile(path)
			try(err)
			info, err := os.Stat(path)
			try(err)
			out := object{"data": string(data), "mode": strconv.FormatUint(uint64(info.Mode().Perm()), 8)}
			var fields object
			if json.Unmarshal(data, &fields) == nil {
				out["json"] = fields
			}
			return out
		}
	case "write_file":
		data := bytesOf(need[any](f, "data"))
		change = func() error {
			return errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600))
		}
	case "flip":
		at := int(need[float64](f, "at"))
		change = keepingMtime(path, func(data []byte) []byte {
			if at < 0 {
				at += len(data)
			}
			data[at] ^= 0xff
			return data
		})
	case "truncate":
		size := int(need[float64](f, "size"))
		change = keepingMtime(path, func(data []byte) []byte { return data[:size] })
	case "make_dir":
		change = func() error { return errors.Join(gone(path), os.MkdirAll(path, 0o700)) }
	case "delete":
		change = func() error { return os.Remove(path) }
	case "symlink":
		to := need[string](f, "to")
		change = func() error { return errors.Join(gone(path), os.Symlink(to, path)) }
	case "chmod":
		mode, err := strconv.ParseUint(need[string](f, "mode"), 8, 32)
		try(err)
		change = func() error { return os.Chmod(path, fs.FileMode(mode)) }
	case "set_mtime":
		age := time.Duration(need[float64](f, "age_ms")) * time.Millisecond
		change = func() error { return os.Chtimes(path, s.now.Add(-age), s.now.Add(-age)) }
	default:
		breaks("it is no op")
	}
	return func() object {
		try(change())
		return nothing()
	}
}

func gone(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// keepingMtime writes over a file in place.
func keepingMtime(path string, change func([]byte) []byte) func() error {
	return func() error {
		info, err := os.Stat(path)
		try(err)
		data, err := os.ReadFile(path)
		try(err)
		err = os.WriteFile(path, change(data), 0o600)
		return errors.Join(err, os.Chtimes(path, info.ModTime(), info.ModTime()))
	}
}
