//! Request methods that nginx tells apart.

macro_rules! methods {
    ($($id:ident $name:literal)*) => {
        /// The method of a request; its text is in the head. nginx compares methods with regard to case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum Method { $($id,)* #[default] Other }

        impl Method {
            #[inline]
            pub fn of(name: &[u8]) -> Self {
                $(if name == $name { return Self::$id; })*
                Self::Other
            }
        }
    };
}

methods! {
    Get b"GET"
    Head b"HEAD"
    Post b"POST"
    Put b"PUT"
    Delete b"DELETE"
    Options b"OPTIONS"
    Patch b"PATCH"
    Connect b"CONNECT"
    Trace b"TRACE"
    Mkcol b"MKCOL"
    Copy b"COPY"
    Move b"MOVE"
    Propfind b"PROPFIND"
    Proppatch b"PROPPATCH"
    Lock b"LOCK"
    Unlock b"UNLOCK"
}
