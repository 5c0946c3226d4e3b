//! A family of settings: one line a field. The line is the row of the directive: its name, the field, how its
//! argument is read, and the default.

/// Declares a struct of `Option` fields with
/// - `NAMES`, `knows(name)`: the directives of the family;
/// - `read(cx, d)`: gives a directive to its setter;
/// - `inherit(parent)`: takes from `parent` each field that is not set here;
/// - a method for each field: its value, or the default.
///
/// A setter is `Fn(&mut Cx, Dir, &mut Option<T>)`.
macro_rules! family {
    (
        $(#[$meta:meta])*
        pub struct $family:ident {
            $( $(#[$doc:meta])* $($name:literal)|+ => $field:ident: $type:ty = $set:expr, $default:expr; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default)]
        pub struct $family {
            $( $(#[$doc])* pub $field: Option<$type>, )*
        }

        impl $family {
            /// Whether a directive belongs to this family.
            pub fn knows(name: &str) -> bool {
                matches!(name, $($($name)|+)|*)
            }

            /// Reads a directive of the family.
            pub fn read(&mut self, cx: &mut $crate::config::Cx<'_>, d: $crate::source::Dir<'_>) {
                match d.name() {
                    $( $($name)|+ => ($set)(cx, d, &mut self.$field), )*
                    _ => {}
                }
            }

            /// Takes each field that is not set from the level above.
            pub fn inherit(&mut self, parent: &Self) {
                $( if self.$field.is_none() { self.$field.clone_from(&parent.$field); } )*
            }

            $( $(#[$doc])* pub fn $field(&self) -> $type { self.$field.clone().unwrap_or_else(|| $default) } )*
        }
    };
}
pub(crate) use family;
