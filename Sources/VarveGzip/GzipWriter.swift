// Bytes into one gzip member, piece by piece.
//
// Invariant: `finish` ends the member; afterwards the writer takes nothing more.

import CVarveZlib

package struct GzipWriter: ~Copyable {
    /// On the heap because zlib's state points back at it.
    private let stream: UnsafeMutablePointer<z_stream>
    /// zlib writes here; an array would have to be zeroed first.
    private let scratch: UnsafeMutablePointer<UInt8>
    private var isFinished = false

    /// `level` 1 (fast) to 9 (small).
    package init(level: Int = 6) throws(GzipError) {
        precondition((1...9).contains(level))
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        scratch = .allocate(capacity: Self.stepBytes)
        if varve_gzip_deflate_init(stream, Int32(level)) != Z_OK {
            stream.deallocate()
            scratch.deallocate()
            throw .outOfMemory
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        scratch.deallocate()
    }

    /// Appends to `output` what is ready; the rest stays inside until more comes, or `flush` or `finish`.
    package mutating func deflate(_ input: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        run(input, Z_NO_FLUSH, into: &output)
    }

    package mutating func deflate(_ input: [UInt8], into output: inout [UInt8]) {
        input.withUnsafeBytes { deflate($0, into: &output) }
    }

    /// Appends everything so far, so that a reader at the other end sees it. Costs compression.
    package mutating func flush(into output: inout [UInt8]) {
        run(UnsafeRawBufferPointer(start: nil, count: 0), Z_SYNC_FLUSH, into: &output)
    }

    /// Appends the rest and the trailer.
    package mutating func finish(into output: inout [UInt8]) {
        run(UnsafeRawBufferPointer(start: nil, count: 0), Z_FINISH, into: &output)
        isFinished = true
    }

    private mutating func run(_ input: UnsafeRawBufferPointer, _ mode: Int32, into output: inout [UInt8]) {
        precondition(!isFinished, "a finished gzip member takes nothing more")
        var used = 0
        repeat {
            // zlib counts its input with 32 bits.
            let offered = min(input.count - used, Int(Int32.max))
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.advanced(by: used).assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = UInt32(offered)
            repeat {
                stream.pointee.next_out = scratch
                stream.pointee.avail_out = UInt32(Self.stepBytes)
                // With a valid state and room for output this cannot fail.
                _ = CVarveZlib.deflate(stream, mode)
                let count = Self.stepBytes - Int(stream.pointee.avail_out)
                output.append(contentsOf: UnsafeBufferPointer(start: scratch, count: count))
            } while stream.pointee.avail_out == 0
            used += offered
        } while used < input.count
    }

    private static let stepBytes = 16 * 1024
}

extension GzipWriter {
    /// A whole member.
    package static func deflate(_ input: [UInt8], level: Int = 6) throws(GzipError) -> [UInt8] {
        var writer = try GzipWriter(level: level)
        var output: [UInt8] = []
        writer.deflate(input, into: &output)
        writer.finish(into: &output)
        return output
    }
}
