internal import RdKafka

// Whom we trust and with what we identify ourselves: Java's stores, by what their bytes are. What a store's type says is
// not believed: a file that ends in .jks is PKCS #12 more often than not.

extension PropertyTranslation {
    private static let storeBytesMax = 8 << 20

    mutating func readTrustStore(_ ignored: inout [String]) {
        checkType("ssl.truststore.type")
        if let inline = given["ssl.truststore.certificates"] {
            set("ssl.ca.pem", inline.value, inline)
        }
        guard let location = given["ssl.truststore.location"], let (bytes, kind) = store(location) else { return }
        let password = given["ssl.truststore.password"]
        switch kind {
        case .pem:
            set("ssl.ca.location", location.path, location)
            if password != nil { ignored.append("ssl.truststore.password") }
        case .pkcs12:
            // Java reads certificates without a password too; OpenSSL does not.
            guard let password else {
                return fault("ssl.truststore.password", "is missing: the trust store is PKCS #12")
            }
            trustStore = RdKafkaTrustStore(bytes: bytes, password: password.value)
        case .jks: fault(location, Self.conversion(location))
        case .other: fault(location, "is neither PEM nor PKCS #12")
        }
    }

    mutating func readKeyStore(_ ignored: inout [String]) {
        checkType("ssl.keystore.type")
        if let chain = given["ssl.keystore.certificate.chain"] { set("ssl.certificate.pem", chain.value, chain) }
        if let key = given["ssl.keystore.key"] { set("ssl.key.pem", key.value, key) }
        guard let location = given["ssl.keystore.location"], let (_, kind) = store(location) else { return }
        let password = given["ssl.keystore.password"]
        switch kind {
        case .pem:
            // One file with the key and the certificates.
            set("ssl.key.location", location.path, location)
            set("ssl.certificate.location", location.path, location)
            if password != nil { ignored.append("ssl.keystore.password") }
        case .pkcs12:
            guard let password else { return fault("ssl.keystore.password", "is missing: the key store is PKCS #12") }
            set("ssl.keystore.location", location.path, location)
            set("ssl.keystore.password", password.value, password)
        case .jks: fault(location, Self.conversion(location))
        case .other: fault(location, "is neither PEM nor PKCS #12")
        }
    }

    private mutating func checkType(_ name: String) {
        guard let type = given[name], !["PEM", "PKCS12", "JKS"].contains(type.plainValue.uppercased()) else { return }
        fault(type, "expected PEM, PKCS12 or JKS")
    }

    private static func conversion(_ location: GivenProperty) -> String {
        let path = location.path
        let name = path.hasSuffix(".jks") ? String(path.dropLast(4)) : path
        return "is a JKS store, which only Java reads; convert it with: "
            + "keytool -importkeystore -srckeystore \(path) -destkeystore \(name).p12 -deststoretype PKCS12"
    }

    private enum Kind {
        case pem, pkcs12, jks, other
    }

    private mutating func store(_ location: GivenProperty) -> (bytes: [UInt8], kind: Kind)? {
        let bytes: [UInt8]
        do throws(SmallFile.Failure) {
            bytes = try SmallFile.read(location.path, bytesMax: Self.storeBytesMax)
        } catch {
            fault(location, "\(location.path) cannot be read: \(error.reason)")
            return nil
        }
        return (bytes, Self.kind(of: bytes))
    }

    private static func kind(of bytes: [UInt8]) -> Kind {
        if bytes.starts(with: [0xfe, 0xed, 0xfe, 0xed]) || bytes.starts(with: [0xce, 0xce, 0xce, 0xce]) {
            return .jks
        }
        // A sequence whose first element is the integer 3: a PKCS #12 file. A certificate begins with another sequence.
        if bytes.count > 8, bytes[0] == 0x30 {
            let lengthBytes = bytes[1] < 0x80 ? 0 : Int(bytes[1] & 0x7f)
            return bytes.dropFirst(2 + lengthBytes).starts(with: [0x02, 0x01, 0x03]) ? .pkcs12 : .other
        }
        let mark = Array("-----BEGIN ".utf8)
        var at = 0
        // Text may stand before the first certificate.
        while let dash = bytes[at...].firstIndex(of: mark[0]) {
            if bytes[dash...].starts(with: mark) { return .pem }
            at = dash + 1
        }
        return .other
    }
}
