package event

import (
	"math"

	"auditmesh/audit/merkle"
)

// The fields that are one number, truth or identifier. See codec.

func (c *codec) uint64(name string, v *uint64) {
	switch c.mode {
	case reading:
		c.readKey(name)
		*v = c.readUint(math.MaxUint64)
	case writing:
		c.writeUint(name, *v)
	case listing:
		c.list(name, "u64", v)
	}
}

func (c *codec) uint32(name string, v *uint32) {
	switch c.mode {
	case reading:
		c.readKey(name)
		*v = uint32(c.readUint(math.MaxUint32))
	case writing:
		c.writeUint(name, uint64(*v))
	case listing:
		c.list(name, "u32", v)
	}
}

// optionalUint64 is a number or null.
func (c *codec) optionalUint64(name string, v **uint64) {
	switch c.mode {
	case reading:
		if c.readKey(name); !c.readNull() {
			n := c.readUint(math.MaxUint64)
			*v = &n
		}
	case writing:
		if *v == nil {
			c.writeNull(name)
		} else {
			c.writeUint(name, **v)
		}
	case listing:
		c.listOptional(name, "u64", v)
	}
}

// optionalInt32 is a number, with its sign, or null.
func (c *codec) optionalInt32(name string, v **int32) {
	switch c.mode {
	case reading:
		if c.readKey(name); !c.readNull() {
			n := c.readInt32()
			*v = &n
		}
	case writing:
		if *v == nil {
			c.writeNull(name)
		} else {
			c.writeInt(name, int64(**v))
		}
	case listing:
		c.listOptional(name, "i32", v)
	}
}

func (c *codec) bool(name string, v *bool) {
	switch c.mode {
	case reading:
		c.readKey(name)
		*v = c.readBool()
	case writing:
		c.writeBool(name, *v)
	case listing:
		c.list(name, "bool", v)
	}
}

func (c *codec) requestID(name string, v *RequestID) { //nolint:unparam // every field says its own name
	switch c.mode {
	case reading:
		c.readKey(name)
		c.readHex(v[:])
	case writing:
		c.writeHex(name, v[:])
	case listing:
		c.list(name, "hex16", v)
	}
}

// optionalRequestID is an identifier or null.
func (c *codec) optionalRequestID(name string, v **RequestID) {
	switch c.mode {
	case reading:
		if c.readKey(name); !c.readNull() {
			id := new(RequestID)
			c.readHex(id[:])
			*v = id
		}
	case writing:
		if *v == nil {
			c.writeNull(name)
		} else {
			c.writeHex(name, (*v)[:])
		}
	case listing:
		c.listOptional(name, "hex16", v)
	}
}

func (c *codec) partyID(name string, v *PartyID) {
	switch c.mode {
	case reading:
		c.readKey(name)
		c.readHex(v[:])
	case writing:
		c.writeHex(name, v[:])
	case listing:
		c.list(name, "hex32", v)
	}
}

// peer is a libp2p peer id of an Ed25519 key.
func (c *codec) peer(name string, v *string) {
	if c.checks() {
		if _, err := merkle.PeerKey(*v); err != nil {
			c.fail(name, err.Error())
		}
	}
	switch c.mode {
	case checking:
	case listing:
		c.list(name, "peer id", v)
	default:
		c.text(name, v)
	}
}
