internal import CVarveChecksum

/// CRC32C of bytes; pass a result as the next `seed` to continue.
public func crc32c(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    varve_crc32c(seed, bytes.baseAddress, bytes.count)
}

package func crc32cByTable(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    varve_crc32c_table(seed, bytes.baseAddress, bytes.count)
}
