package wal

// Acceptor is the accept rule: it decides which groups of a log count, given the last one that did.
//
// A fence counts if its epoch is above the current one; any other group counts if its epoch is the current one and its
// first seq is the next. All else is ignored: resends, groups out of order, groups of fenced owners. A group's records
// share its fate, because the bytes of a seq never change.
type Acceptor struct {
	// Epoch and Seq of the last accepted record.
	Epoch, Seq uint64

	lax laxRules
}

// laxRules turn single rules off, for tests that show what each is good for.
type laxRules struct {
	anyEpoch bool // groups of fenced owners count
	anySeq   bool // resends count
}

// accept decides about a group and moves the state if it counts.
func (a *Acceptor) accept(h header) bool {
	switch {
	case h.fence && h.epoch > a.Epoch:
		a.Epoch, a.Seq = h.epoch, 0
		return true
	case h.fence:
		return false
	case h.epoch != a.Epoch && !a.lax.anyEpoch:
		return false
	case h.seq != a.Seq+1 && !a.lax.anySeq && h.epoch == a.Epoch:
		return false
	}
	if h.epoch == a.Epoch {
		a.Seq = max(a.Seq, h.seq+uint64(h.count)-1)
	}
	return true
}

// Accept decides about an entry. It returns the records of one that counts and nil for one that does not.
func (a *Acceptor) Accept(data []byte) ([]Record, error) {
	h, body, err := decodeHeader(data)
	if err != nil || !a.accept(h) {
		return nil, err
	}
	return decodeRecords(h, body)
}
