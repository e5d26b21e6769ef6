// SPDX-License-Identifier: GPL-2.0
/* Dentries and inodes, for rust/fs. */

#include <linux/backing-dev.h>
#include <linux/dcache.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/posix_acl.h>
#include <linux/xattr.h>

#include "fs.h"

struct inode *sp_d_inode(const struct dentry *dentry)
{
	return d_inode_rcu(dentry);
}

struct dentry *sp_dget(struct dentry *dentry)
{
	return dget(dentry);
}

struct dentry *sp_d_parent(struct dentry *dentry)
{
	return dget_parent(dentry);
}

bool sp_d_folds(const struct dentry *dentry)
{
	return dentry->d_flags & (DCACHE_OP_HASH | DCACHE_OP_COMPARE);
}

int sp_d_hash(const struct dentry *dentry, struct qstr *name)
{
	return dentry->d_flags & DCACHE_OP_HASH ? dentry->d_op->d_hash(dentry, name) : 0;
}

/* Zero if @name is the same as the @len characters at @str, where @dentry is. */
int sp_d_compare(const struct dentry *dentry, unsigned int len, const char *str,
		 const struct qstr *name)
{
	if (dentry->d_flags & DCACHE_OP_COMPARE)
		return dentry->d_op->d_compare(dentry, len, str, name);
	return len != name->len || memcmp(str, name->name, len);
}

/*
 * Whether @lower has the name that @upper has, is in the directory that is below that
 * of @upper, and still is @inode: all as of one moment.
 */
bool sp_d_agree(struct dentry *upper, struct dentry *lower, struct inode *inode)
{
	bool agree;

	spin_lock(&upper->d_lock);
	spin_lock_nested(&lower->d_lock, DENTRY_D_LOCK_NESTED);
	agree = !d_unhashed(lower) && d_inode(lower) == inode &&
		lower->d_parent == upper->d_parent->d_fsdata &&
		!sp_d_compare(lower, lower->d_name.len, lower->d_name.name, &upper->d_name);
	spin_unlock(&lower->d_lock);
	spin_unlock(&upper->d_lock);
	return agree;
}

/*
 * Asks a filesystem that wants to be asked, as path walking does. What opens a file is
 * not passed on: then some leave the question to their open, which may never come.
 */
int sp_d_revalidate(struct dentry *dentry, unsigned int flags)
{
	struct name_snapshot name;
	struct dentry *parent;
	int result;

	if (!(dentry->d_flags & DCACHE_OP_REVALIDATE))
		return 1;
	flags &= ~(LOOKUP_RCU | LOOKUP_OPEN);
	parent = dget_parent(dentry);
	take_dentry_name_snapshot(&name, dentry);
	result = dentry->d_op->d_revalidate(d_inode(parent), &name.name, dentry, flags);
	release_dentry_name_snapshot(&name);
	dput(parent);
	if (!result)
		d_invalidate(dentry);
	return result;
}

/*
 * If what is below has another name now, so that it will be found there: whatever is
 * mounted on it, or below it, goes there with it. d_invalidate() would detach that.
 */
void sp_d_drop_moved(struct dentry *upper, struct dentry *lower)
{
	if (d_is_dir(lower) && !d_unhashed(lower))
		d_drop(upper);
}

void sp_d_move(struct dentry *old, struct dentry *new, unsigned int flags)
{
	if (flags & RENAME_EXCHANGE)
		d_exchange(old, new);
	else
		d_move(old, new);
}

/*
 * Calls @change until no delegation is in its way: each is broken, and waited for without
 * the locks of what is changed.
 */
int sp_without_delegations(int (*change)(void *argument, struct delegated_inode *delegated),
			   void *argument)
{
	int result, error;

	for (;;) {
		struct delegated_inode delegated = { };

		result = change(argument, &delegated);
		if (!is_delegated(&delegated))
			return result;
		error = break_deleg_wait(&delegated);
		if (error)
			return error;
	}
}

bool sp_d_is_linked(struct dentry *dentry)
{
	return d_really_is_positive(dentry) && !d_unhashed(dentry);
}

/* Takes a reference to @inode, and opens the file. */
int sp_tmpfile_finish(struct file *file, struct inode *inode)
{
	d_mark_tmpfile(file, inode);
	d_instantiate(file->f_path.dentry, inode);
	return finish_open_simple(file, 0);
}

/*
 * Whether @inode is new, so that others do not see it yet: then it is like @lower. Access
 * control lists are asked for below each time.
 */
bool sp_inode_prepare(struct inode *inode, struct inode *lower)
{
	if (!(inode_state_read_once(inode) & I_NEW))
		return false;
	inode->i_ino = lower->i_ino;
	i_size_write(inode, i_size_read(lower));
	inode->i_acl = ACL_DONT_CACHE;
	inode->i_default_acl = ACL_DONT_CACHE;
	return true;
}

/*
 * Whether writing to it changes its times, whatever FMODE_NOCMTIME says: those of a
 * server, or of another filesystem below. btrfs looks at its inode only.
 */
bool sp_inode_sets_times(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	if (IS_NOCMTIME(inode) || sb->s_magic == BTRFS_SUPER_MAGIC)
		return true;
	return !(sb->s_type->fs_flags & FS_REQUIRES_DEV) && sb->s_bdi != &noop_backing_dev_info;
}

/* That it has some is not said by this. */
bool sp_inode_has_no_privileges(struct inode *inode)
{
	return IS_NOSEC(inode) || !S_ISREG(inode->i_mode);
}

/* As an access through that mount does it. */
void sp_touch_atime(const struct path *mount, struct inode *inode)
{
	struct path path = { .mnt = mount->mnt, .dentry = d_find_any_alias(inode) };

	if (!path.dentry)
		return;
	touch_atime(&path);
	dput(path.dentry);
}

/*
 * As a write through that mount does it, to what has no data in the filesystem (a FIFO): all
 * else is written to below. Where the filesystem is frozen the times stay, as pipe_write() has it.
 */
void sp_touch_special(const struct path *mount, struct inode *inode, unsigned int flags)
{
	if (!special_file(inode->i_mode) || !sb_start_write_trylock(inode->i_sb))
		return;
	if (!mnt_get_write_access(mount->mnt)) {
		if (inode->i_op->update_time)
			inode->i_op->update_time(inode, FS_UPD_CMTIME, flags);
		else
			generic_update_time(inode, FS_UPD_CMTIME, flags);
		mnt_put_write_access(mount->mnt);
	}
	sb_end_write(inode->i_sb);
}

/* Names that are equal without being the same are beyond a stack that compares them. */
bool sp_inode_is_supported(struct inode *inode)
{
	return !IS_CASEFOLDED(inode);
}

void sp_inode_lock(struct inode *inode)
{
	inode_lock(inode);
}

void sp_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

/* Who locks several inodes, in ascending order of their addresses, does so within this. */
static DEFINE_MUTEX(commit_mutex);

int sp_commit_lock(void)
{
	return mutex_lock_killable(&commit_mutex);
}

void sp_commit_lock_inode(struct inode *inode)
{
	down_write_nest_lock(&inode->i_rwsem, &commit_mutex);
}

void sp_commit_unlock(void)
{
	mutex_unlock(&commit_mutex);
}
