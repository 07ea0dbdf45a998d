// The library's four callbacks, and the object that stands behind each request.

import CVarveMicroHTTPD
import Glibc
import Synchronization

/// A request as the library sees it, from its request line on. Used on the library's thread only.
final class Call {
    let link: Link
    let target: [UInt8]
    /// What the client sent as its target had a NUL byte in it.
    var isCut = false
    /// Set when the request is admitted.
    var exchange: Exchange?

    init(link: Link, target: [UInt8]) {
        self.link = link
        self.target = target
    }
}

enum Callbacks {
    /// A request line came; what is returned belongs to the request until `completed`.
    static let target: varve_mhd_target_callback = { core, target, connection in
        guard let core, let target, let connection, let context = varve_mhd_socket_context(connection) else {
            return nil
        }
        let server = Unmanaged<ServerCore>.fromOpaque(core).takeUnretainedValue()
        let link = Unmanaged<Link>.fromOpaque(context).takeUnretainedValue()
        link.requestBegan(headerDeadline: Clock.now() &+ server.headerNanoseconds)
        let count = strlen(target)
        let call = Call(link: link, target: Array(UnsafeBufferPointer(bytes: target, count)))
        // The library puts a NUL where the target ended; when no version follows, it was a NUL that the client sent.
        call.isCut = strncmp(target + count + 1, "HTTP/", 5) != 0
        return Unmanaged.passRetained(call).toOpaque()
    }

    /// Header complete, a piece of body, body complete: told apart by what came before.
    static let handler: MHD_AccessHandlerCallback = { core, connection, _, method, version, bytes, count, context in
        guard let core, let connection, let method, let version, let count, let context = context?.pointee else {
            return .NO
        }
        let call = Unmanaged<Call>.fromOpaque(context).takeUnretainedValue()
        guard let exchange = call.exchange else {
            let server = Unmanaged<ServerCore>.fromOpaque(core).takeUnretainedValue()
            return server.begin(
                call, connection, method: String(cString: method), version: String(cString: version))
        }
        guard count.pointee > 0 else { return exchange.bodyEnded() }
        let piece = UnsafeBufferPointer(bytes: bytes, count.pointee)
        count.pointee = 0
        return exchange.receive(piece)
    }

    static let completed: MHD_RequestCompletedCallback = { core, _, context, _ in
        guard let core, let pointer = context?.pointee else { return }
        context?.pointee = nil
        let server = Unmanaged<ServerCore>.fromOpaque(core).takeUnretainedValue()
        let call = Unmanaged<Call>.fromOpaque(pointer).takeRetainedValue()
        call.exchange?.ended()
        call.link.requestEnded(nextDeadline: Clock.now() &+ server.idleNanoseconds &+ server.headerNanoseconds)
    }

    /// MHD_CONNECTION_NOTIFY_STARTED, by its value: the importer names it differently from version to version.
    private static let started = MHD_ConnectionNotificationCode(rawValue: 0)

    static let connection: MHD_NotifyConnectionCallback = { core, connection, context, code in
        guard let core, let connection, let context else { return }
        let server = Unmanaged<ServerCore>.fromOpaque(core).takeUnretainedValue()
        if code == started {
            let link = Link(
                descriptor: varve_mhd_descriptor(connection), deadline: Clock.now() &+ server.headerNanoseconds)
            server.links.withLock { $0[ObjectIdentifier(link)] = link }
            context.pointee = Unmanaged.passRetained(link).toOpaque()
        } else if let pointer = context.pointee {
            let link = Unmanaged<Link>.fromOpaque(pointer).takeRetainedValue()
            link.closed()
            context.pointee = nil
            server.links.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(link)) }
        }
    }
}
