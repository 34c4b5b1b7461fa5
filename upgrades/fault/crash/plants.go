package main

// plants are the bugs that the matrix must find.
var plants = []*plant{
	{
		name: "the commit is journaled after the new version has taken over",
		edits: []edit{{file: "upgrades/switch.go", from: `	synced, err := f.mark(m)
	if err != nil {
		return err
	}
	if m.Irreversible {
		if err := <-synced; err != nil {
			return &StepError{Service: m.Service, Step: stepJournal, Err: err}
		}
	}
	err = f.takeOver(ctx, m, m.forTakeOver(), true)
	m.pause = time.Since(began)
	if serr := <-synced; err == nil && serr != nil {`, to: `	if err := f.takeOver(ctx, m, m.forTakeOver(), true); err != nil {
		return err
	}
	synced, err := f.mark(m)
	m.pause = time.Since(began)
	if err != nil {
		return err
	}
	if serr := <-synced; err == nil && serr != nil {`}},
		cases: []string{
			"up,daemon@call.after/activate~switching:1,daemon,kill",
			"up,daemon@record.before/committed~switching:1,daemon,kill",
			"up,daemon@record.before/committed~switching:1,all,kill",
		},
	},
	{
		name: "recovery does not mind the commit record",
		edits: []edit{{file: "upgrades/recover.go", from: `	case !state.Decided():
		return f.abort(ctx, errInterrupted)`, to: `	case state != RollingBack:
		return f.abort(ctx, errInterrupted)`}},
		cases: []string{
			"up,daemon@record.after/committed~switching:1,daemon,kill",
			"up,daemon@call.before/activate~committed:1,all,kill",
		},
	},
	{
		name: "a write is acknowledged before it is in the log",
		edits: []edit{{file: "sdk/state/commit.go", from: `		if g.commit().CompareAndSwap(uint64(word), uint64(at(tail+uint64(len(group))))) {`, to: `		if len(group) < 1024 {
			time.AfterFunc(15*time.Millisecond, func() {
				g.commit().CompareAndSwap(uint64(word), uint64(at(tail+uint64(len(group)))))
			})
			return place{g.location(tail), w.written}, nil
		}
		if g.commit().CompareAndSwap(uint64(word), uint64(at(tail+uint64(len(group))))) {`}, {
			file: "sdk/state/commit.go", from: `	"sync"
`, to: `	"sync"
	"time"
`,
		}},
		cases: []string{
			"up,daemon@record.after/planned:1,old,kill", "up,daemon@record.after/started~verified:1,all,kill",
			"up,daemon@record.after/rehearsed~started:1,old,kill", "up,daemon@record.after/following~rehearsed:1,all,kill",
			"up,daemon@record.after/probation~committed:1,new,kill", "up,daemon@record.after/permanent~probation:1,all,kill",
			"down,daemon@record.after/planned:1,old,kill", "down,daemon@record.after/started~verified:1,all,kill",
		},
	},
	{
		name: "a switch fences nobody: two versions take themselves for the writer",
		edits: []edit{{file: "sdk/state/fence.go", from: `	s.w.active.commit().Or(uint64(fenced))
	s.depose()
	return true`, to: `	return true`}, {
			file: "sdk/state/fence.go", from: `	return !word(g.commit().Load()).has(sealed) && !word(g.commit().Or(uint64(fenced))).has(sealed)`,
			to: `	return !word(g.commit().Load()).has(sealed)`,
		}},
		cases: []string{
			"back-up,daemon@record.after/rolling_back~probation:1,daemon,kill",
			"back-up,daemon@record.after/rolling_back~probation:1,new,kill",
			"back-down,daemon@record.after/rolling_back~probation:1,daemon,kill",
			"bad,daemon@record.after/rolling_back~probation:1,new,kill",
		},
	},
}
