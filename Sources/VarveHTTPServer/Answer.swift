// Answers in the library's form. Built on the handler's thread, queued on the library's.

import CVarveMicroHTTPD

enum Answer {
    /// With all its bytes, copied once. A writer's body is left out: so HEAD is answered, and with the library of
    /// Debian 12 a HEAD must not be answered by a stream (it sends a stray chunk, which breaks the next request).
    /// Nil when a header or the status cannot be sent.
    static func whole(_ response: Response) -> Exchange.Prepared? {
        guard (200...599).contains(response.status) else { return nil }
        var created: OpaquePointer?
        switch response.body {
        case .bytes(let bytes):
            created = bytes.withUnsafeBytes {
                MHD_create_response_from_buffer(
                    $0.count, UnsafeMutableRawPointer(mutating: $0.baseAddress), .RESPMEM_MUST_COPY)
            }
        case .writer:
            created = MHD_create_response_from_buffer(0, nil, .RESPMEM_PERSISTENT)
        }
        return created.flatMap { withHeaders($0, response) }
    }

    /// Streamed in chunks from what `exchange` is given to write.
    static func streamed(_ response: Response, from exchange: Exchange) -> Exchange.Prepared? {
        guard (200...599).contains(response.status) else { return nil }
        let owner = Unmanaged.passRetained(exchange).toOpaque()
        let created = MHD_create_response_from_callback(
            UInt64.max, 64 * 1024,
            { owner, _, buffer, room in
                guard let owner, let buffer else { return -2 }
                return Unmanaged<Exchange>.fromOpaque(owner).takeUnretainedValue().read(into: buffer, room)
            }, owner,
            { owner in
                if let owner { Unmanaged<Exchange>.fromOpaque(owner).release() }
            })
        guard let created else {
            Unmanaged<Exchange>.fromOpaque(owner).release()
            return nil
        }
        return withHeaders(created, response)
    }

    private static func withHeaders(_ created: OpaquePointer, _ response: Response) -> Exchange.Prepared? {
        for (name, value) in response.headers where MHD_add_response_header(created, name, value) != .YES {
            MHD_destroy_response(created)
            return nil
        }
        return Exchange.Prepared(pointer: created, status: UInt32(response.status))
    }

    /// Queues and gives up our share of the answer.
    static func queue(_ prepared: Exchange.Prepared, _ connection: OpaquePointer, close: Bool) -> MHD_Result {
        if close { MHD_add_response_header(prepared.pointer, "Connection", "close") }
        defer { MHD_destroy_response(prepared.pointer) }
        return MHD_queue_response(connection, prepared.status, prepared.pointer)
    }
}
