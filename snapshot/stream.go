package snapshot

import (
	"context"
	"errors"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// blobMessage is a SnapshotResponse whose blob still lies in the buffers it was received into. The generated client clears,
// fills and copies a buffer for each message twice over, which is a third of what receiving costs.
type blobMessage struct {
	remaining uint64
	version   string
	blob      [][]byte // in order; valid until release
	held      mem.BufferSlice
}

func (m *blobMessage) size() (n int) {
	for _, part := range m.blob {
		n += len(part)
	}
	return n
}

func (m *blobMessage) release() {
	m.held.Free()
	m.held, m.blob = nil, m.blob[:0]
}

// blobCodec reads blobMessages and writes the request, which has no fields.
type blobCodec struct{}

func (blobCodec) Name() string                         { return "proto" }
func (blobCodec) Marshal(any) (mem.BufferSlice, error) { return nil, nil }

func (blobCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*blobMessage)
	if !ok {
		return errors.New("not a snapshot message")
	}
	data.Ref() // gRPC frees its own reference when this returns
	m.held, m.blob, m.remaining, m.version = data, m.blob[:0], 0, ""
	return m.parse(&pieces{rest: data})
}

// parse reads SnapshotResponse: remaining_bytes is field 2, blob 3, version 4.
func (m *blobMessage) parse(p *pieces) error {
	for p.len() > 0 {
		tag, err := p.varint()
		if err != nil {
			return err
		}
		num, kind := protowire.DecodeTag(tag)
		var n uint64
		switch kind {
		case protowire.VarintType:
			n, err = p.varint()
			if num == 2 {
				m.remaining = n
			}
		case protowire.BytesType:
			if n, err = p.varint(); err != nil {
				return err
			}
			var parts [][]byte
			parts, err = p.take(n)
			switch num {
			case 3:
				m.blob = append(m.blob, parts...)
			case 4:
				m.version = ""
				for _, part := range parts {
					m.version += string(part)
				}
			}
		case protowire.Fixed64Type:
			_, err = p.take(8)
		case protowire.Fixed32Type:
			_, err = p.take(4)
		default:
			err = errors.New("unknown field type in a snapshot message")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pieces is one message as it arrived, in several buffers.
type pieces struct {
	rest mem.BufferSlice
	off  int // in rest[0]
}

func (p *pieces) len() (n int) {
	for _, b := range p.rest {
		n += b.Len()
	}
	return n - p.off
}

func (p *pieces) varint() (v uint64, err error) {
	for shift := 0; shift < 64; shift += 7 {
		one, err := p.take(1)
		if err != nil {
			return 0, err
		}
		v |= uint64(one[0][0]&0x7f) << shift
		if one[0][0] < 0x80 {
			return v, nil
		}
	}
	return 0, errors.New("overlong number in a snapshot message")
}

// take cuts off the next n bytes without copying them.
func (p *pieces) take(n uint64) (parts [][]byte, err error) {
	for n > 0 {
		if len(p.rest) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		part := p.rest[0].ReadOnlyData()[p.off:]
		if uint64(len(part)) > n {
			part = part[:n]
			p.off += int(n)
		} else {
			p.rest, p.off = p.rest[1:], 0
		}
		if len(part) > 0 {
			parts = append(parts, part)
		}
		n -= uint64(len(part))
	}
	return parts, nil
}

// openStream asks a member for a snapshot.
func openStream(ctx context.Context, cc *grpc.ClientConn) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{StreamName: "Snapshot", ServerStreams: true}
	stream, err := cc.NewStream(ctx, desc, pb.Maintenance_Snapshot_FullMethodName, grpc.ForceCodecV2(blobCodec{}))
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(&pb.SnapshotRequest{}); err != nil {
		return nil, err
	}
	return stream, stream.CloseSend()
}
