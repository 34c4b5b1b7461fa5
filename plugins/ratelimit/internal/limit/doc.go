// Package limit decides whether a call may go on. It is arithmetic without effects: a policy, the row of a key, the
// time and a cost go in; the row as it is then and a [Decision] come out. The row of a key that was not used for long
// is nothing at all, so it may be forgotten at the instant that [Policy.Take] names.
//
//	algorithm        row                            forgotten          allows
//	gcra             when the bucket is empty       then               Burst at once, Limit in each Per on average
//	sliding_window   start, count, count before     after two windows  Limit in any Per, by the weighted count
//	quota            start, count                   at its end         Limit in each Per, from one boundary to the next
//	concurrency      leases                         with the last one  Limit at the same time
//
// A call is allowed whole or not at all, and one that is refused costs nothing. A clock that was set back neither
// blocks a key for longer than one that is used up would be blocked, nor gives back what was used within a window.
package limit
