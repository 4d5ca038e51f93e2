// The module as others get it: the header beside the code is the library's, and survives go mod vendor; a program
// written against the original package compiles with no change but its import.

package forebay_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheHeaderIsTheLibrarys(t *testing.T) {
	ours, err := os.ReadFile("forebay.h")
	must(t, err)
	theirs, err := os.ReadFile("../../include/forebay.h")
	must(t, err)
	if string(ours) != string(theirs) {
		t.Error("bindings/go/forebay.h differs from include/forebay.h: copy it")
	}
}

func TestAVendoredProgramOfTheOriginalBuildsAndRuns(t *testing.T) {
	here, err := filepath.Abs(".")
	must(t, err)
	dir := t.TempDir()
	program, err := os.ReadFile("testdata/dropin/main.go.txt")
	must(t, err)
	if !strings.Contains(string(program), `"original.example/internal/discoverycache"`) {
		t.Fatal("the program doesn't import the original")
	}
	changed := strings.Replace(string(program),
		`"original.example/internal/discoverycache"`, `discoverycache "github.com/forebay/forebay/bindings/go"`, 1)
	must(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(changed), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/dropin\n\ngo 1.24\n\n"+
		"require github.com/forebay/forebay/bindings/go v0.0.0\n\n"+
		"replace github.com/forebay/forebay/bindings/go => "+here+"\n"), 0o600))
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("go", "mod", "vendor")
	vendored := filepath.Join(dir, "vendor", "github.com", "forebay", "forebay", "bindings", "go", "forebay.h")
	if _, err := os.Stat(vendored); err != nil {
		t.Fatal(err)
	}
	run("go", "vet", "-mod=vendor", ".")
	run("go", "build", "-mod=vendor", "-o", "program", ".")
	equal(t, "it said", run("./program", filepath.Join(dir, "cache")), "3 models, fresh; boom; 0 left\n")
}

// What interfaces demand is shown by their use.
var needsNoExample = map[string]bool{
	"Error": true, "Unwrap": true, "Is": true, "String": true, "GoString": true, "Format": true,
}

func TestEveryPublicFunctionHasAnExample(t *testing.T) {
	names, err := filepath.Glob("*.go")
	must(t, err)
	used, public := map[string]bool{}, map[string]string{}
	for _, name := range names {
		example := strings.HasPrefix(name, "example_")
		if strings.HasSuffix(name, "_test.go") && !example {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		must(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.SelectorExpr:
				used[n.Sel.Name] = used[n.Sel.Name] || example
			case *ast.FuncDecl:
				if n.Name.IsExported() && !example {
					public[n.Name.Name] = name
				}
			}
			return true
		})
	}
	if len(public) < 40 {
		t.Fatalf("only %d functions are public", len(public))
	}
	for name, file := range public {
		if !used[name] && !needsNoExample[name] {
			t.Errorf("%s (%s) has no example", name, file)
		}
	}
}
