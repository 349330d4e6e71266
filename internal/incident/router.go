package incident

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// maxConditionCost bounds the evaluation of one condition, in CEL's unit of
// about one operation: enough for any comparison over an incident's labels,
// not for a nested loop over them.
const maxConditionCost = 100_000

// variable is what conditions call the incident.
const variable = "incident"

// Router chooses the route of an incident. It is safe for concurrent use.
type Router struct {
	routes []compiled
}

type compiled struct {
	route     Route
	condition cel.Program
}

// Verdict is what a route said to an incident.
type Verdict struct {
	Name string `json:"name"`
	// Matched is true for the route the incident goes by, for one at most.
	Matched bool `json:"matched"`
	// Reason is for people, and quotes the condition.
	Reason string `json:"reason"`
	// Failed says that the condition could not be evaluated.
	Failed bool `json:"-"`
}

// NewRouter compiles the routes' conditions and checks the routes. All that is
// wrong is reported together; each part of the error is a *[RouteError].
func NewRouter(routes []Route) (*Router, error) {
	env, err := newEnv()
	if err != nil {
		return nil, fmt.Errorf("prepare route conditions: %w", err)
	}
	var problems []error
	first := map[string]int{}
	r := &Router{}
	for i := range routes {
		route := &routes[i]
		problems = append(problems, route.check(i)...)
		if earlier, taken := first[route.Name]; taken && route.Name != "" {
			problems = append(problems, &RouteError{
				Index: i, Name: route.Name, Field: "name",
				Reason: fmt.Sprintf("routes[%d] has it too; want a name that tells the route from the others", earlier),
			})
		} else {
			first[route.Name] = i
		}
		condition, err := compile(env, route.When)
		if err != nil {
			problems = append(problems, &RouteError{Index: i, Name: route.Name, Field: "when", Reason: err.Error()})
		}
		r.routes = append(r.routes, compiled{route: route.WithDefaults(), condition: condition})
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return r, nil
}

// Match is the first route whose condition holds for inc, with its defaults
// filled, or nil when the incident is to be ignored; and what every route said.
// A condition that cannot be evaluated does not hold. A self-report matches routes
// with SelfReports only.
func (r *Router) Match(inc *Incident) (*Route, []Verdict) {
	var match *Route
	verdicts := make([]Verdict, 0, len(r.routes))
	for i := range r.routes {
		c := &r.routes[i]
		v := Verdict{Name: c.route.Name}
		holds, err := c.holds(inc)
		switch {
		case inc.SelfReport && !c.route.SelfReports:
			v.Reason = "not for self-reports: the route does not set self_reports: true"
		case err != nil:
			v.Failed = true
			v.Reason = fmt.Sprintf("error evaluating %s: %s", c.route.When, err)
		case !holds:
			v.Reason = "false: " + c.route.When
		case match != nil:
			v.Reason = fmt.Sprintf("not reached, route %s matched before; true: %s", match.Name, c.route.When)
		default:
			v.Matched, v.Reason = true, "true: "+c.route.When
			chosen := c.route
			match = &chosen
		}
		verdicts = append(verdicts, v)
	}
	return match, verdicts
}

// Unmatched says why an incident that matches no route opens nothing. A condition that
// could not be evaluated must not look like one that does not hold.
func Unmatched(inc *Incident, verdicts []Verdict) string {
	if inc.SelfReport {
		return "a self-report of the product, not a detection, and no route with self_reports: true matches"
	}
	reason := "no route matches"
	for _, v := range verdicts {
		if v.Failed {
			reason += "; route " + v.Name + ": " + v.Reason
		}
	}
	return reason
}

func (c *compiled) holds(inc *Incident) (bool, error) {
	out, _, err := c.condition.Eval(map[string]any{variable: inc})
	if err != nil {
		return false, err
	}
	return isTrue(out), nil
}

func isTrue(v ref.Val) bool {
	b, ok := v.Value().(bool)
	return ok && b
}

// newEnv knows the incident as a typed value with the names of its JSON, so
// that a misspelt field is found when the condition is compiled.
func newEnv() (*cel.Env, error) {
	return cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTag("json"), reflect.TypeFor[Incident]()),
		cel.Variable(variable, cel.ObjectType("incident.Incident")),
		cel.DefaultUTCTimeZone(true),
	)
}

func compile(env *cel.Env, condition string) (cel.Program, error) {
	if strings.TrimSpace(condition) == "" {
		return nil, errors.New("it is empty; want a CEL condition over incident, or true")
	}
	return compileAs(env, condition, cel.BoolType)
}

// compileAs compiles an expression that has one of the given types.
func compileAs(env *cel.Env, condition string, accepted ...*cel.Type) (cel.Program, error) {
	ast, issues := env.Compile(condition)
	if problems := issues.Errors(); len(problems) > 0 {
		var found []string
		for _, p := range problems {
			found = append(found, fmt.Sprintf("line %d, column %d: %s", p.Location.Line(), p.Location.Column()+1, p.Message))
		}
		return nil, fmt.Errorf("%s, in %s", strings.Join(found, "; "), condition)
	}
	if !slices.ContainsFunc(accepted, ast.OutputType().IsExactType) {
		var names []string
		for _, t := range accepted {
			names = append(names, t.String())
		}
		return nil, fmt.Errorf("its type is %s; want %s, in %s", ast.OutputType(), strings.Join(names, ", "), condition)
	}
	program, err := env.Program(ast, cel.CostLimit(maxConditionCost), cel.EvalOptions(cel.OptOptimize|cel.OptPartialEval))
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", condition, err)
	}
	return program, nil
}
