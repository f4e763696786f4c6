package nomad

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/helper/pluginutils/hclspecutils"
	"github.com/hashicorp/nomad/helper/pluginutils/hclutils"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

var jobsDir = flag.String("jobs", "../jobs", "the folder of job files, tests/jobs; tests/examples is beside it")

// TestJobFiles takes each task's config block through the plugin's schema, as the client does when the task starts.
func TestJobFiles(t *testing.T) {
	var files []string
	for _, dir := range []string{*jobsDir, filepath.Join(*jobsDir, "../examples")} {
		found, err := filepath.Glob(filepath.Join(dir, "*.hcl"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no job files in %s: %v", dir, err)
		}
		files = append(files, found...)
	}
	schema := start(t).schema
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hcl")
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f := jobFile{t: t}
			parsed, diags := hclsyntax.ParseConfig(source, file, hcl.InitialPos)
			f.none(diags)
			root := parsed.Body.(*hclsyntax.Body)
			f.scope(root)
			jobs := blocks(root, "job")
			if len(jobs) != 1 || jobs[0].Labels[0] != name {
				t.Fatalf("not one job of the name %q", name)
			}
			tasks := 0
			for _, group := range blocks(jobs[0].Body, "group") {
				for _, task := range blocks(group.Body, "task") {
					tasks++
					for _, config := range blocks(task.Body, "config") {
						f.decodes(schema, config.Body)
					}
				}
			}
			if tasks == 0 {
				t.Error("no task")
			}
		})
	}
}

// jobFile evaluates expressions of one job file.
type jobFile struct {
	t         *testing.T
	variables map[string]cty.Value // var and local
}

func (f *jobFile) none(diags hcl.Diagnostics) {
	f.t.Helper()
	if diags.HasErrors() {
		f.t.Fatal(diags)
	}
}

// scope gives the file's variables their defaults, and evaluates its locals.
func (f *jobFile) scope(root *hclsyntax.Body) {
	variables, locals := map[string]cty.Value{}, map[string]cty.Value{}
	for _, block := range blocks(root, "variable") {
		variables[block.Labels[0]] = f.value(block.Body.Attributes["default"].Expr)
	}
	f.variables = map[string]cty.Value{"var": cty.ObjectVal(variables)}
	for _, block := range blocks(root, "locals") {
		for name, value := range f.values(block.Body) {
			locals[name] = value
		}
	}
	f.variables["local"] = cty.ObjectVal(locals)
}

// value evaluates an expression. What only the client knows, such as ${NOMAD_TASK_DIR}, is some text.
func (f *jobFile) value(expression hclsyntax.Expression) cty.Value {
	f.t.Helper()
	scope := &hcl.EvalContext{Variables: map[string]cty.Value{"node": cty.DynamicVal}}
	for _, traversal := range expression.Variables() {
		if strings.HasPrefix(traversal.RootName(), "NOMAD_") {
			scope.Variables[traversal.RootName()] = cty.StringVal("/of/the/client")
		}
	}
	for name, value := range f.variables {
		scope.Variables[name] = value
	}
	value, diags := expression.Value(scope)
	f.none(diags)
	value, err := cty.Transform(value, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if !v.IsKnown() {
			return cty.StringVal("of the node"), nil
		}
		return v, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return value
}

func (f *jobFile) values(body *hclsyntax.Body) map[string]cty.Value {
	f.t.Helper()
	values := map[string]cty.Value{}
	for name, attribute := range body.Attributes {
		values[name] = f.value(attribute.Expr)
	}
	for _, block := range body.Blocks {
		values[block.Type] = cty.ObjectVal(f.values(block.Body))
	}
	return values
}

// decodes wants the schema to take a config block, which Nomad keeps and passes on as plain values.
func (f *jobFile) decodes(schema *hclspec.Spec, config *hclsyntax.Body) {
	f.t.Helper()
	spec, diags := hclspecutils.Convert(schema)
	f.none(diags)
	object := cty.ObjectVal(f.values(config))
	packed, err := ctyjson.Marshal(object, object.Type())
	if err != nil {
		f.t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(packed, &plain); err != nil {
		f.t.Fatal(err)
	}
	if _, diags, errs := hclutils.ParseHclInterface(plain, spec, nil); diags.HasErrors() {
		f.t.Errorf("config at %s: %v %v", config.Range(), diags, errs)
	}
}

// blocks returns the blocks of one type.
func blocks(body *hclsyntax.Body, kind string) []*hclsyntax.Block {
	var found []*hclsyntax.Block
	for _, block := range body.Blocks {
		if block.Type == kind {
			found = append(found, block)
		}
	}
	return found
}
