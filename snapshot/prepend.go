package snapshot

import "hash/crc32"

const (
	// A batch of records is hashed when it has so many bytes, or so many parts.
	batchBytes = 1 << 20
	batchParts = 1 << 13
)

// A prepender computes the CRC-32C of parts that are told from the last to the first, on another core: it hashes batches of them in
// their right order, and puts the CRC of each before that of all behind it. The parts must stay as they are until the end.
type prepender struct {
	batch   [][]byte // the last part first
	bytes   int
	batches chan<- [][]byte // nil after the end
	done    chan struct{}

	// Of what was told so far; to be read after the end.
	crc  uint32
	size int64
}

// newPrepender starts one, which needs an end.
func newPrepender() *prepender {
	batches := make(chan [][]byte, 4)
	p := &prepender{batches: batches, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for batch := range batches {
			p.hash(batch)
		}
	}()
	return p
}

// prepend takes the part before all others.
func (p *prepender) prepend(part []byte) {
	p.batch, p.bytes = append(p.batch, part), p.bytes+len(part)
	if p.bytes >= batchBytes || len(p.batch) >= batchParts {
		p.batches <- p.batch
		p.batch, p.bytes = nil, 0
	}
}

// end returns the CRC of all parts. It may be called again, and nothing is read after it.
func (p *prepender) end() uint32 {
	if p.batches != nil {
		p.batches <- p.batch
		close(p.batches)
		p.batches = nil
	}
	<-p.done
	return p.crc
}

func (p *prepender) hash(batch [][]byte) {
	table := crc32.MakeTable(crc32.Castagnoli)
	crc, size := uint32(0), int64(0)
	for i := len(batch) - 1; i >= 0; i-- {
		crc = crc32.Update(crc, table, batch[i])
		size += int64(len(batch[i]))
	}
	p.crc, p.size = combineCRC(crc, p.crc, p.size), p.size+size
}

// combineCRC is the CRC-32C of two texts together, by the CRC of each and the length of the second in bytes. A CRC is a polynomial over
// bits modulo another; what comes behind multiplies it by x to the number of its bits.
func combineCRC(first, second uint32, length int64) uint32 {
	shift, square := uint32(1)<<31, uint32(1)<<23 // 1, and x^8: the highest bit is the lowest power
	for ; length > 0; length >>= 1 {
		if length&1 == 1 {
			shift = multiplyCRC(shift, square)
		}
		square = multiplyCRC(square, square)
	}
	return multiplyCRC(shift, first) ^ second
}

func multiplyCRC(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a>>31 == 1 {
			product ^= b
		}
		b = b>>1 ^ -(b&1)&crc32.Castagnoli
	}
	return product
}
