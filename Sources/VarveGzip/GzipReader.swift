// A gzip stream, inflated piece by piece.
//
// Invariants: members may follow one another and are joined; anything else behind a member is a fault. One call
// appends at most `limit` bytes, however small its input is, so a bomb costs its reader no memory. After a fault the
// reader stays faulty.

import CVarveZlib

package struct GzipReader: ~Copyable {
    /// On the heap because zlib's state points back at it.
    private let stream: UnsafeMutablePointer<z_stream>
    /// zlib writes here; an array would have to be zeroed first.
    private let scratch: UnsafeMutablePointer<UInt8>
    private var place = Place.start
    private var fault: GzipError?
    /// The last call stopped at its limit: there may be more, to be had with the rest of the input (or none).
    package private(set) var hasMore = false

    private enum Place {
        /// Before the first member; nothing was read.
        case start
        case inMember
        case behindMember
    }

    package init() throws(GzipError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        scratch = .allocate(capacity: Self.stepBytes)
        if varve_gzip_inflate_init(stream) != Z_OK {
            stream.deallocate()
            scratch.deallocate()
            throw .outOfMemory
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        scratch.deallocate()
    }

    /// Appends to `output` what `input` inflates to, at most `limit` bytes; says how many bytes of `input` were used.
    /// When fewer than all were, or `hasMore` is set, the limit was reached: call again with the rest.
    package mutating func inflate(
        _ input: UnsafeRawBufferPointer, into output: inout [UInt8], limit: Int = .max
    ) throws(GzipError) -> Int {
        if let fault { throw fault }
        do throws(GzipError) {
            return try inflateUnchecked(input, into: &output, limit: limit)
        } catch {
            fault = error
            throw error
        }
    }

    /// The same for an array; all of it is used, so there is no limit.
    package mutating func inflate(_ input: [UInt8], into output: inout [UInt8]) throws(GzipError) {
        // zlib counts its input with 32 bits.
        var start = 0
        while start < input.count || hasMore {
            let used = try inflate(input[start...], into: &output, limit: .max)
            start += used
        }
    }

    /// As the first form, for a part of an array.
    package mutating func inflate(
        _ input: ArraySlice<UInt8>, into output: inout [UInt8], limit: Int
    ) throws(GzipError) -> Int {
        var result = Result<Int, GzipError>.success(0)
        input.withUnsafeBytes { bytes in
            do throws(GzipError) {
                result = .success(try inflate(bytes, into: &output, limit: limit))
            } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }

    /// The input has ended: a fault unless it did so behind a member.
    package mutating func finish() throws(GzipError) {
        if let fault { throw fault }
        guard case .behindMember = place, !hasMore else {
            fault = .truncated
            throw .truncated
        }
    }

    private mutating func inflateUnchecked(
        _ input: UnsafeRawBufferPointer, into output: inout [UInt8], limit: Int
    ) throws(GzipError) -> Int {
        var used = 0
        var room = limit
        hasMore = false
        while true {
            if case .behindMember = place {
                guard used < input.count else { return used }
                guard input[used] == 0x1F else { throw .trailingBytes }
                guard inflateReset(stream) == Z_OK else { throw .corrupt("reset failed") }
                place = .inMember
            }
            guard room > 0 else {
                hasMore = used < input.count || place == .inMember
                return used
            }
            let step = min(room, Self.stepBytes)
            let offered = min(input.count - used, Int(Int32.max))
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.advanced(by: used).assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = UInt32(offered)
            stream.pointee.next_out = scratch
            stream.pointee.avail_out = UInt32(step)
            let code = CVarveZlib.inflate(stream, Z_NO_FLUSH)
            let left = Int(stream.pointee.avail_out)
            output.append(contentsOf: UnsafeBufferPointer(start: scratch, count: step - left))
            let consumed = offered - Int(stream.pointee.avail_in)
            used += consumed
            room -= step - left
            if consumed > 0, case .start = place { place = .inMember }
            switch code {
            case Z_STREAM_END:
                place = .behindMember
            case Z_OK, Z_BUF_ERROR:
                // No room left in the step means that zlib may hold more; room left means that it wants input.
                if left > 0, used == input.count { return used }
            case Z_MEM_ERROR:
                throw .outOfMemory
            default:
                throw .corrupt(stream.pointee.msg.map { String(cString: $0) } ?? "code \(code)")
            }
        }
    }

    /// How much is inflated between two looks at the limit.
    private static let stepBytes = 64 * 1024
}

extension GzipReader {
    /// A whole gzip stream, at most `maxBytes` when inflated.
    package static func inflate(_ input: [UInt8], maxBytes: Int) throws(GzipError) -> [UInt8] {
        var reader = try GzipReader()
        var output: [UInt8] = []
        let used = try reader.inflate(input[...], into: &output, limit: maxBytes)
        if used < input.count || reader.hasMore {
            // One byte further shows whether there is more than allowed, or only a trailer.
            var beyond: [UInt8] = []
            _ = try reader.inflate(input[used...], into: &beyond, limit: 1)
            if !beyond.isEmpty { throw .tooLarge(limit: maxBytes) }
        }
        try reader.finish()
        return output
    }
}
