// SPDX-License-Identifier: GPL-2.0
/* Credentials, for rust/fs. */

#include <linux/capability.h>
#include <linux/cred.h>

#include "fs.h"

/* With a reference. */
const struct cred *sp_current_cred(void)
{
	return get_current_cred();
}

const struct cred *sp_override_creds(const struct cred *cred)
{
	return override_creds(cred);
}

void sp_revert_creds(const struct cred *cred)
{
	revert_creds(cred);
}

void sp_put_cred(const struct cred *cred)
{
	put_cred(cred);
}

static bool rights_are(const struct cred *rights, const struct cred *caller, bool unlimited)
{
	const struct group_info *a = rights->group_info, *b = caller->group_info;

	return uid_eq(rights->fsuid, caller->fsuid) && gid_eq(rights->fsgid, caller->fsgid) &&
	       cap_raised(rights->cap_effective, CAP_SYS_RESOURCE) == unlimited &&
	       a->ngroups == b->ngroups && !memcmp(a->gid, b->gid, flex_array_size(a, gid, a->ngroups));
}

/* Whether limits see them as the same. */
bool sp_rights_alike(const struct cred *rights, const struct cred *other)
{
	return rights_are(rights, other, cap_raised(other->cap_effective, CAP_SYS_RESOURCE));
}

static const struct cred *rights_made(const struct cred *mounter, bool unlimited)
{
	const struct cred *caller = override_creds(mounter);
	struct cred *rights = prepare_creds();

	revert_creds(caller);
	if (!rights)
		return NULL;
	rights->fsuid = caller->fsuid;
	rights->fsgid = caller->fsgid;
	put_group_info(rights->group_info);
	rights->group_info = get_group_info(caller->group_info);
	if (!unlimited)
		cap_lower(rights->cap_effective, CAP_SYS_RESOURCE);
	return rights;
}

/*
 * The credentials of @mounter within the limits of the caller, with a reference; NULL if
 * there is no memory for them. They are in @recent afterwards, and come from there if
 * they were.
 */
const struct cred *sp_rights(const struct cred *mounter, struct cred **recent)
{
	bool unlimited = cap_raised(mounter->cap_effective, CAP_SYS_RESOURCE) &&
			 ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
	const struct cred *rights;

	rcu_read_lock();
	rights = get_cred_rcu(READ_ONCE(*recent));
	rcu_read_unlock();
	if (rights && rights_are(rights, current_cred(), unlimited))
		return rights;
	put_cred(rights);
	rights = rights_made(mounter, unlimited);
	if (rights)
		put_cred(xchg(recent, (struct cred *)get_cred(rights)));
	return rights;
}
