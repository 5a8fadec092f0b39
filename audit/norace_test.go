//go:build !race

package audit

const damageStride = 1
